--- Two outputs of one component go different ways and meet again; out.from tells by which way an event came.
---
---               ┌─► small ──► rounded ─┐
---     split ────┤                      ├──► tally (at the end of the input)
---               └─► large ─────────────┘
local sw = require "swlua"

local END = 2 ^ 52 -- An event time that no event reaches: its timer fires when the input ends.

local job = sw.job("fan_out_fan_in")

local split = job:source("orders", sw.from.stdin())
  :apply("split", function(event, out)
    out:emit_to(event.amount < 100 and "small" or "large", event)
  end)

local rounded = split:output("small"):map("rounded", function(event)
  return { amount = math.floor(event.amount) }
end)

sw.union(rounded, split:output("large"))
  :key_by(function() return "all" end)
  :apply("tally", {
    apply = function(_, event, out, state)
      state[out.from] = (state[out.from] or 0) + event.amount
      out:timer(END)
    end,
    on_timer = function(_, _, out, state) out:emit({ small = state["rounded"], large = state["split:large"] }) end,
  })
  :to("totals", sw.to.stdout())

return job
