--- NEXMark q12, bids per user and window of 10 s, in event time.
local sw = require "swlua"
local house = require "auction_house"

local job = sw.job("nexmark-q12")

house.write(house.bids(job, { "bidder" })
  :key_by("bidder"):window(sw.tumbling("10s")):aggregate("windows", { bid_count = sw.count() })
  :map("named", function(row)
    return { bidder = row.bidder, bid_count = row.bid_count, starttime = row.window_start, endtime = row.window_end }
  end))

return job
