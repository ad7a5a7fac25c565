--- NEXMark q5, hot items: the auctions with the most bids of the last 10 s, every 2 s.
local sw = require "swlua"
local house = require "auction_house"

local job = sw.job("nexmark-q5")

house.write(house.bids(job, { "auction" })
  :key_by("auction"):window(sw.sliding("10s", "2s")):aggregate("bids-of-auction", { num = sw.count() })
  :window(sw.tumbling("2s")):process("hottest", function(_, rows, out) -- A window's rows have one time: its end.
    local most = 0
    for _, row in ipairs(rows) do most = math.max(most, row.num) end
    for _, row in ipairs(rows) do
      if row.num == most then out:emit({ auction = row.auction, num = row.num }) end
    end
  end))

return job
