--- Timers: says when a sensor has been silent for ten seconds. Each event moves its sensor's timer; when the watermark
--- passes the timer, no event came in between. At the end of the input every timer that is left fires.
local sw = require "swlua"

local SILENCE_MS = 10000

local job = sw.job("silence")

job:source("readings", sw.from.stdin(), { time = "ts" })
  :key_by("sensor")
  :apply("watch", {
    apply = function(_, event, out, state)
      out:cancel("silent")
      out:timer(event.ts + SILENCE_MS, "silent")
      state.last = event.ts
    end,
    on_timer = function(_, time, out, state)
      out:emit({ sensor = out.key, last = state.last, noticed = time })
    end,
  })
  :to("silent", sw.to.stdout())

return job
