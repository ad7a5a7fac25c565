-- Count and sum per key and window over generated events; nothing is read.
-- --set events=N --set keys=N [--set window=KIND] [--set rate=N] [--set disorder=MS] [--set output=FILE]
-- [--set shape=table]
local sw = require("swlua")
local generate = require("generate")

local args = sw.args
local keys, rate, disorder = args.keys, args.rate or 100000, args.disorder or 0
local BASE_MS = 1436918400000
local scramble = generate.scramble
local sink = args.output and sw.to.file(args.output) or sw.to.null()
local event = args.shape ~= "table" and sw.record({ key = "i64", value = "f64" }) or nil

local WINDOWS = {
  tumbling = sw.tumbling("1m"), second = sw.tumbling("1s"), sliding = sw.sliding("1m", "1s"),
  session = sw.session("1s"), counted = sw.tumbling(1000), sliding_count = sw.sliding(1000, 100),
  early = sw.tumbling("1m", { every = "1s" }), lateness = sw.tumbling("1m", { lateness = "1s" }),
}
local AGGREGATES = {
  sum = { n = sw.count(), sum = sw.sum("value") },
  extremes = { low = sw.min("value"), high = sw.max("value") },
  sketches = { p50 = sw.quantile("value", 0.5), p99 = sw.quantile("value", 0.99), about = sw.approx_distinct("value") },
}

--- `rate` events in each second of event time.
local function numbers(i)
  local time = BASE_MS + math.floor(i * 1000 / rate)
  if disorder > 0 then time = time - scramble(i + 7) % disorder end
  return { key = scramble(i) % keys, value = i }, time
end

local job = sw.job("bench_windows")
local keyed = job
  :source("numbers", sw.from.generator(numbers, { count = args.events }),
    { schema = event, max_delay = disorder .. "ms" })
  :key_by("key")
local kind = args.window or "tumbling"
local windowed = kind == "running" and keyed or keyed:window(WINDOWS[kind])
windowed:aggregate("rows", AGGREGATES[args.aggregate or "sum"]):to("out", sink)

return job
