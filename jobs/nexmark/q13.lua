--- NEXMark q13, side input: bids with what a fixed table says of their auction.
local sw = require "swlua"
local house = require "auction_house"

local job = sw.job("nexmark-q13")

local side = {}
for key = 0, 9999 do side[key] = tostring(key) end

house.write(house.bids(job, { "auction", "bidder", "price" }):map("looked-up", function(bid)
  return {
    auction = bid.auction, bidder = bid.bidder, price = bid.price, dateTime = bid.ts,
    value = side[tonumber(bid.auction % 10000)],
  }
end))

return job
