--- NEXMark q1, currency conversion: every bid, in euros.
local sw = require "swlua"
local house = require "auction_house"

local job = sw.job("nexmark-q1")
local row = sw.record{ auction = "i64", bidder = "i64", price = "f64", dateTime = "time", extra = "string" }

house.write(house.bids(job, { "auction", "bidder", "price", "extra" }):map("euros", function(bid)
  return {
    auction = bid.auction, bidder = bid.bidder, price = bid.price * 908 / 1000, dateTime = bid.ts, extra = bid.extra,
  }
end, { schema = row }))

return job
