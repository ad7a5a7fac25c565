--- A sink of one's own: a table with apply. This one draws a bar per city when the input has ended.
local sw = require "swlua"

local bars = {
  setup_instance = function(self) self.counts = {} end,
  apply = function(self, event) self.counts[event.city] = (self.counts[event.city] or 0) + 1 end,
  close = function(self)
    for city, n in sw.pairs(self.counts) do io.write(("%-8s %s\n"):format(city, ("#"):rep(n))) end
    io.flush()
  end,
}

local job = sw.job("custom_sink")

job:source("visits", sw.from.stdin()):to("bars", bars)

return job
