--- Sliding windows: names sensors whose mean over the last 30 seconds, looked at every 10, is above 50. A fixed window
--- would miss a burst that a boundary cuts in two.
local sw = require "swlua"

local job = sw.job("sliding")

job:source("readings", sw.from.stdin(), { time = "ts" })
  :key_by("sensor")
  :window(sw.sliding("30s", "10s"))
  :aggregate("means", { mean = sw.mean("celsius"), readings = sw.count() })
  :filter("hot", function(row) return row.readings > 1 and row.mean > 50 end)
  :to("rows", sw.to.stdout())

return job
