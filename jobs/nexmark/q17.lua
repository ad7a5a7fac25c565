--- NEXMark q17, statistics of auctions by day.
local sw = require "swlua"
local house = require "auction_house"

local job = sw.job("nexmark-q17")

local fields = house.count_by_price({
  min_price = sw.min("price"), max_price = sw.max("price"), sum_price = sw.sum("price"),
})
house.write(house.bids(job, { "auction", "price" })
  :key_by("auction"):window(sw.tumbling("1d")):aggregate("statistics", fields)
  :map("by-day", function(row)
    row.day, row.avg_price = house.day(row.window_start), math.floor(row.sum_price / row.total_bids)
    row.window_start, row.window_end = nil, nil
    return row
  end))

return job
