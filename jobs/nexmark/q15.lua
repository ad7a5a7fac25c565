--- NEXMark q15, bidding statistics by day.
local sw = require "swlua"
local house = require "auction_house"

local job = sw.job("nexmark-q15")

house.write(house.bids(job, { "auction", "bidder", "price" })
  :window(sw.tumbling("1d")):aggregate("statistics", house.count_by_price({}, true))
  :map("by-day", function(row)
    row.day, row.window_start, row.window_end = house.day(row.window_start), nil, nil
    return row
  end))

return job
