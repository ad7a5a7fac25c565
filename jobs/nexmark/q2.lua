--- NEXMark q2, selection: the bids on every 123rd auction.
local sw = require "swlua"
local house = require "auction_house"

local job = sw.job("nexmark-q2")

house.write(house.bids(job, { "auction", "price" })
  :filter("every-123rd", function(bid) return bid.auction % 123 == 0 end)
  :map("selected", function(bid) return { auction = bid.auction, price = bid.price } end,
    { schema = sw.record{ auction = "i64", price = "i64" } }))

return job
