-- A running count and sum over generated keys; nothing is read.
-- --set events=N --set keys=N [--set output=FILE] [--set shape=table]
local sw = require("swlua")
local generate = require("generate")

local keys = sw.args.keys
local scramble = generate.scramble
local sink = sw.args.output and sw.to.file(sw.args.output) or sw.to.null()

local event, row, total
if sw.args.shape ~= "table" then
  event = sw.record({ key = "i64", value = "f64" })
  row = sw.record({ key = "i64", n = "i64", sum = "f64" })
  total = sw.record({ n = "i64", sum = "f64" })
end

local function numbers(i)
  return { key = scramble(i) % keys, value = i }
end

local job = sw.job("bench_count_memory")
job
  :source("numbers", sw.from.generator(numbers, { count = sw.args.events }), { schema = event })
  :key_by("key")
  :apply("rows", function(e, out, state)
    state.n = (state.n or 0) + 1
    state.sum = (state.sum or 0) + e.value
    out:emit({ key = e.key, n = state.n, sum = state.sum })
  end, { schema = row, state = total })
  :to("out", sink)

return job
