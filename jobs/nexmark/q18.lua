--- NEXMark q18, last bid of each bidder on each auction.
local sw = require "swlua"
local house = require "auction_house"

local job = sw.job("nexmark-q18")

house.write(house.bids(job, { "auction", "bidder", "price", "channel", "url", "extra" })
  :key_by({ "bidder", "auction" }):apply("last-bid", function(bid, out, state)
    if state.ts and bid.ts < state.ts then return end
    state.ts = bid.ts
    out:emit({
      auction = bid.auction, bidder = bid.bidder, price = bid.price, channel = bid.channel, url = bid.url,
      dateTime = bid.ts, extra = bid.extra,
    })
  end))

return job
