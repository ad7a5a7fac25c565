--- NEXMark q9, winning bids: each auction with its highest bid.
local sw = require "swlua"
local house = require "auction_house"
local winning_bids = require "winning_bids"

local job = sw.job("nexmark-q9")

local fields = { "id", "itemName", "description", "initialBid", "reserve", "expires", "seller", "category",
  "extra", "auction", "bidder", "price" }

house.write(winning_bids.of(house.events(job, fields), fields):map("wide", function(row)
  local auction, bid = row.auction, row.bid
  return {
    id = auction.id, itemName = auction.itemName, description = auction.description, initialBid = auction.initialBid,
    reserve = auction.reserve, dateTime = auction.ts, expires = auction.expires, seller = auction.seller,
    category = auction.category, extra = auction.extra,
    auction = bid.auction, bidder = bid.bidder, price = bid.price, bid_dateTime = bid.ts, bid_extra = bid.extra,
  }
end))

return job
