--- NEXMark q22, url directories: the first three of each bid's url.
local sw = require "swlua"
local house = require "auction_house"

local job = sw.job("nexmark-q22")

--- Parts 3, 4 and 5 of a url that is split at each slash, counted from 0.
local function directories(url)
  local rest = url:match("^[^/]*/[^/]*/[^/]*/(.*)$")
  if not rest then return end
  local dir1, dir2, dir3 = rest:match("^([^/]*)/([^/]*)/([^/]*)")
  if dir1 then return dir1, dir2, dir3 end
  dir1, dir2 = rest:match("^([^/]*)/([^/]*)")
  return dir1 or rest, dir2
end

house.write(house.bids(job, { "auction", "bidder", "price", "channel", "url" }):map("split", function(bid)
  local dir1, dir2, dir3 = directories(bid.url)
  return {
    auction = bid.auction, bidder = bid.bidder, price = bid.price, channel = bid.channel, dir1 = dir1, dir2 = dir2,
    dir3 = dir3,
  }
end, { schema = sw.record{
  auction = "i64", bidder = "i64", price = "i64", channel = "string", dir1 = "string", dir2 = "string", dir3 = "string",
} }))

return job
