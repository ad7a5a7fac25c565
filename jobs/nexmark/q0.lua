--- NEXMark q0, pass-through: every bid.
local sw = require "swlua"
local house = require "auction_house"

local job = sw.job("nexmark-q0")
local row = sw.record{ auction = "i64", bidder = "i64", price = "i64", dateTime = "time", extra = "string" }

house.write(house.bids(job, { "auction", "bidder", "price", "extra" }):map("bids-only", function(bid)
  return { auction = bid.auction, bidder = bid.bidder, price = bid.price, dateTime = bid.ts, extra = bid.extra }
end, { schema = row }))

return job
