--- Late events: sales by minute. A sale at most 30 seconds behind the end of its minute corrects that minute's row; a
--- later one changes no result, and goes to an output of its own.
local sw = require "swlua"

local job = sw.job("late")

local sales = job:source("sales", sw.from.stdin(), { time = "ts" })
  :key_by("shop")
  :window(sw.tumbling("1m", { lateness = "30s" }))
  :aggregate("sales-by-minute", { total = sw.sum("cents") })

local too_late = sales:output("late")
  :map("too-late", function(sale) return { shop = sale.shop, missed = sale.cents } end)
sw.union(sales, too_late):to("results", sw.to.stdout())

return job
