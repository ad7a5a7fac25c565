--- NEXMark q7, highest bid: those of the highest price, every 10 s.
local sw = require "swlua"
local house = require "auction_house"

local job = sw.job("nexmark-q7")

house.write(house.bids(job, { "auction", "bidder", "price", "extra" })
  :window(sw.tumbling("10s")):fold("highest", function() return { bids = {} } end, function(top, bid)
    local first = top.bids[1]
    if not first or bid.price > first.price then top.bids = {} end
    if not first or bid.price >= first.price then
      table.insert(top.bids, {
        auction = bid.auction, bidder = bid.bidder, price = bid.price, dateTime = bid.ts, extra = bid.extra,
      })
    end
    return top
  end)
  :flat_map("each", function(top, emit)
    for _, bid in ipairs(top.bids) do emit(bid) end
  end))

return job
