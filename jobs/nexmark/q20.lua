--- NEXMark q20, expanded bids: each with its auction, in category 10.
local sw = require "swlua"
local house = require "auction_house"

local job = sw.job("nexmark-q20")

local events = house.events(job, { "id", "itemName", "description", "initialBid", "reserve", "expires", "seller",
  "category", "extra", "auction", "bidder", "price", "channel", "url" })
local auctions = house.of(events, "auction"):filter("category-10", function(auction) return auction.category == 10 end)

house.write(house.of(events, "bid"):join("expanded", auctions, {
  on = { "auction", "id" },
  row = function(bid, auction)
    return {
      auction = bid.auction, bidder = bid.bidder, price = bid.price, channel = bid.channel, url = bid.url,
      bid_dateTime = bid.ts, bid_extra = bid.extra,
      itemName = auction.itemName, description = auction.description, initialBid = auction.initialBid,
      reserve = auction.reserve, auction_dateTime = auction.ts, expires = auction.expires, seller = auction.seller,
      category = auction.category, auction_extra = auction.extra,
    }
  end,
}))

return job
