--- The simplest job: change every event, keep some.
local sw = require "swlua"

local job = sw.job("map_filter")

job:source("readings", sw.from.stdin())
  :map("celsius", function(event)
    return { room = event.room, celsius = (event.fahrenheit - 32) * 5 / 9 }
  end)
  :filter("warm", function(event) return event.celsius >= 20 end)
  :to("warm-rooms", sw.to.stdout())

return job
