--- NEXMark q16, bidding statistics by channel and day.
local sw = require "swlua"
local house = require "auction_house"

local job = sw.job("nexmark-q16")

local fields = house.count_by_price({ last = sw.max("ts") }, true)
house.write(house.bids(job, { "auction", "bidder", "price", "channel" })
  :key_by("channel"):window(sw.tumbling("1d")):aggregate("statistics", fields)
  :map("by-day", function(row)
    row.day, row.minute = house.day(row.window_start), house.minute(row.last)
    row.last, row.window_start, row.window_end = nil, nil, nil
    return row
  end))

return job
