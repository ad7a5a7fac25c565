--- NEXMark q10, log: every bid with its day and minute, as partitions of a log have.
local sw = require "swlua"
local house = require "auction_house"

local job = sw.job("nexmark-q10")

house.write(house.bids(job, { "auction", "bidder", "price", "extra" }):map("stamped", function(bid)
  return {
    auction = bid.auction, bidder = bid.bidder, price = bid.price, dateTime = bid.ts, extra = bid.extra,
    dt = house.day(bid.ts), hm = house.minute(bid.ts),
  }
end))

return job
