--- The fast path: with a schema events are records. Fields that the schema lacks are not even decoded, and 64-bit
--- integers stay exact. Without the two schema options the job gives the same results, slower.
local sw = require "swlua"

local bid = sw.record{ auction = "i64", price = "f64" }
local euros = sw.record{ auction = "i64", euros = "f64" }

local job = sw.job("records")

job:source("bids", sw.from.stdin(), { schema = bid })
  :filter("high", function(event) return event.price >= 100 end)
  :map("euros", function(event) return { auction = event.auction, euros = event.price / 2 } end, { schema = euros })
  :to("high-bids", sw.to.stdout())

return job
