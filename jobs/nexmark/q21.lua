--- NEXMark q21, channel ids: known channels have one, others carry it in their url.
local sw = require "swlua"
local house = require "auction_house"

local job = sw.job("nexmark-q21")
local KNOWN = { apple = "0", google = "1", facebook = "2", baidu = "3" }

local function in_url(url)
  return ("&" .. url):match("&channel_id=([^&]*)")
end

house.write(house.bids(job, { "auction", "bidder", "price", "channel", "url" })
  :flat_map("channel-ids", function(bid, emit)
    local channel_id = KNOWN[bid.channel:lower()] or in_url(bid.url)
    if not channel_id then return end
    emit({
      auction = bid.auction, bidder = bid.bidder, price = bid.price, channel = bid.channel, channel_id = channel_id,
    })
  end, { schema = sw.record{
    auction = "i64", bidder = "i64", price = "i64", channel = "string", channel_id = "string",
  } }))

return job
