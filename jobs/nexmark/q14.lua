--- NEXMark q14, calculation: bids of a middling price, by time of day, with the letters c in `extra`.
local sw = require "swlua"
local house = require "auction_house"

local job = sw.job("nexmark-q14")
local HOUR_MS, C = 3600000, ("c"):byte()

local function time_type(ts)
  local hour = math.floor(ts / HOUR_MS) % 24
  if hour >= 8 and hour <= 18 then return "dayTime" end
  if hour <= 6 or hour >= 20 then return "nightTime" end
  return "otherTime"
end

local function count_c(text)
  local n = 0
  for i = 1, #text do
    if text:byte(i) == C then n = n + 1 end
  end
  return n
end

house.write(house.bids(job, { "auction", "bidder", "price", "extra" })
  :filter("middling", function(bid) return bid.price * 908 > 1e9 and bid.price * 908 < 5e10 end)
  :map("calculated", function(bid)
    return {
      auction = bid.auction, bidder = bid.bidder, price = bid.price * 908 / 1000, bidTimeType = time_type(bid.ts),
      dateTime = bid.ts, extra = bid.extra, c_counts = count_c(bid.extra),
    }
  end, { schema = sw.record{
    auction = "i64", bidder = "i64", price = "f64", bidTimeType = "string", dateTime = "time", extra = "string",
    c_counts = "i64",
  } }))

return job
