--- NEXMark q6, average price of a seller: of the last 10 auctions that ended with a bid.
local sw = require "swlua"
local house = require "auction_house"
local winning_bids = require "winning_bids"

local job = sw.job("nexmark-q6")

local function is_before(a, b) return a.expires < b.expires or a.expires == b.expires and a.id < b.id end

local fields = { "id", "expires", "seller", "auction", "price" }

house.write(winning_bids.of(house.events(job, fields), fields)
  :map("sales", function(row)
    local auction = row.auction
    return { seller = auction.seller, id = auction.id, expires = auction.expires, price = row.bid.price }
  end)
  :key_by("seller")
  :apply("last-10", function(sale, out, state)
    local last = state.last or {}
    table.insert(last, { id = sale.id, expires = sale.expires, price = sale.price })
    table.sort(last, is_before)
    if #last > 10 then table.remove(last, 1) end
    state.last = last
    local total = 0
    for _, one in ipairs(last) do total = total + one.price end
    out:emit({ seller = sale.seller, avg_price = math.floor(total / #last) })
  end))

return job
