--- NEXMark q19, the ten highest bids of each auction; of equal ones the first comes first.
local sw = require "swlua"
local house = require "auction_house"

local job = sw.job("nexmark-q19")

house.write(house.bids(job, { "auction", "bidder", "price", "channel", "url", "extra" })
  :key_by("auction"):apply("top-10", function(bid, out, state)
    local top = state.top or {}
    state.top = top
    local rank = #top + 1
    while rank > 1 and top[rank - 1].price < bid.price do rank = rank - 1 end
    if rank > 10 then return end
    table.insert(top, rank, {
      auction = bid.auction, bidder = bid.bidder, price = bid.price, channel = bid.channel, url = bid.url,
      dateTime = bid.ts, extra = bid.extra,
    })
    top[11] = nil
    for i = rank, #top do
      local row = sw.copy(top[i])
      row.rank_number = i
      out:emit(row)
    end
  end))

return job
