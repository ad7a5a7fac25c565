-- Events as tables to three analyzers of two instances each, which filter, and fail on one call in a hundred.
-- --set input=FILE [--set delivery=at-least-once]
local sw = require("swlua")

local options = { on_error = "skip" }
if sw.args.delivery == "at-least-once" then
  options = { delivery = "at-least-once", tracking = "ack", restart = { attempts = 1000 } }
end

-- Draws of its own for each analyzer: the JIT does not compile math.random.
local function failing_now_and_then(keep)
  local seed = 1
  return function(event)
    seed = (seed * 16807) % 2147483647
    if seed % 100 == 0 then
      error("one call in a hundred")
    end
    return keep(event)
  end
end

local job = sw.job("bench_ack", options)
local events = job:source("events", sw.from.file(sw.args.input))
local analyzers = {
  bids = function(event)
    return event.type == "bid"
  end,
  high = function(event)
    return (event.price or 0) > 1000000
  end,
  rows = function(event)
    return event.ts ~= nil
  end,
}
for _, name in ipairs({ "bids", "high", "rows" }) do
  events
    :shuffle()
    :filter(name, failing_now_and_then(analyzers[name]), { parallelism = 2 })
    :to(name .. "-out", sw.to.null())
end

return job
