-- A keyed job that computes far more than it moves, on two instances.
-- --set events=N, with --workers 1 or 2
local sw = require("swlua")
local generate = require("generate")

local KEYS = 10000
local ROUNDS = 500 -- of scrambling an event

local scramble = generate.scramble

local function numbers(i)
  return { key = scramble(i) % KEYS, value = i }
end

local function work(event, out, state)
  local value = event.value
  for _ = 1, ROUNDS do
    value = scramble(value)
  end
  state.sum = (state.sum or 0) + value
  out:emit({ key = event.key, sum = state.sum })
end

local event = sw.record({ key = "i64", value = "i64" })
local row = sw.record({ key = "i64", sum = "i64" })
local total = sw.record({ sum = "i64" })

local job = sw.job("bench_cpu")
job
  :source("numbers", sw.from.generator(numbers, { count = sw.args.events }), { schema = event })
  :key_by("key")
  :apply("rows", work, { parallelism = 2, schema = row, state = total })
  :to("out", sw.to.null())

return job
