--- NEXMark q11, user sessions: how many bids a bidder made while active.
local sw = require "swlua"
local house = require "auction_house"

local job = sw.job("nexmark-q11")

house.write(house.bids(job, { "bidder" })
  :key_by("bidder"):window(sw.session("10s")):aggregate("sessions", { bid_count = sw.count() })
  :map("named", function(row)
    return { bidder = row.bidder, bid_count = row.bid_count, starttime = row.window_start, endtime = row.window_end }
  end))

return job
