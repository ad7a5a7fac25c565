--- NEXMark q4, average price of a category: of its winning bids so far.
local sw = require "swlua"
local house = require "auction_house"
local winning_bids = require "winning_bids"

local job = sw.job("nexmark-q4")

local fields = { "id", "expires", "category", "auction", "price" }

house.write(winning_bids.of(house.events(job, fields), fields)
  :map("prices", function(row) return { category = row.auction.category, price = row.bid.price } end)
  :key_by("category")
  :aggregate("average", { total = sw.sum("price"), n = sw.count() })
  :map("truncated", function(row) return { id = row.category, final = math.floor(row.total / row.n) } end))

return job
