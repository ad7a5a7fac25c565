-- What one event costs in keyed state of many keys, as a distribution: the time from one event's turn to the next
-- one's. --set events=N --set keys=N; prints the quantiles in ns, taken once every key is there.
local ffi = require("ffi")
local sw = require("swlua")
local generate = require("generate")

ffi.cdef("typedef struct { long s, ns; } bench_time; int clock_gettime(int, bench_time *);")

local keys, scramble = sw.args.keys, generate.scramble
local WARM = keys * 12 -- by then a key is missing with a probability of 6 in a million
local BUCKET_NS, BUCKETS, MONOTONIC = 50, 40000, 1

local now, counts = ffi.new("bench_time"), ffi.new("uint64_t[?]", BUCKETS + 1)
local seen, last, total, greatest = 0, 0, 0, 0

--- Notes the time since the last event.
local function note()
  ffi.C.clock_gettime(MONOTONIC, now)
  local at = tonumber(now.s) * 1e9 + tonumber(now.ns)
  seen = seen + 1
  if seen > WARM then
    local gap = at - last
    local bucket = math.min(math.floor(gap / BUCKET_NS), BUCKETS)
    counts[bucket] = counts[bucket] + 1
    total = total + 1
    if gap > greatest then greatest = gap end
  end
  last = at
end

local function quantile(q)
  local sum = 0
  for i = 0, BUCKETS do
    sum = sum + tonumber(counts[i])
    if sum >= q * total then return (i + 1) * BUCKET_NS end
  end
end

local event = sw.record({ key = "i64", value = "f64" })
local total_state = sw.record({ n = "i64", sum = "f64" })

local job = sw.job("bench_latency")
job
  :source("numbers", sw.from.generator(function(i)
    return { key = scramble(i) % keys, value = i }
  end, { count = sw.args.events }), { schema = event })
  :key_by("key")
  :apply("rows", {
    state = total_state,
    apply = function(_, e, _, state)
      note()
      state.n = (state.n or 0) + 1
      state.sum = (state.sum or 0) + e.value
    end,
    close = function()
      io.write(("p50 %d p99 %d p99.9 %d p99.99 %d max %d ns over %d events\n"):format(quantile(0.5), quantile(0.99),
        quantile(0.999), quantile(0.9999), greatest, total))
    end,
  })
  :to("out", sw.to.null())

return job
