--- Keyed state as a record: it lies in engine memory, with no Lua table per key. Its fields are nil for a new key.
local sw = require "swlua"

local job = sw.job("running_mean")

job:source("readings", sw.from.stdin())
  :key_by("sensor")
  :apply("mean", function(event, out, state)
    state.n = (state.n or 0) + 1
    state.sum = (state.sum or 0) + event.value
    out:emit({ sensor = event.sensor, mean = state.sum / state.n })
  end, { state = sw.record{ n = "i64", sum = "f64" } })
  :to("means", sw.to.stdout())

return job
