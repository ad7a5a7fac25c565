--- Events made of their number, as rival_c.cpp makes them.
local bit = require("bit")
local band, bxor, rshift, tobit = bit.band, bit.bxor, bit.rshift, bit.tobit

local BASE_MS = 1436918400000

local M = {}

--- A pseudo-random number below 2^31 made of i; every step is exact in a double.
---@param i integer
---@return integer
function M.scramble(i)
  i = bxor(i, rshift(i, 15))
  i = tobit(i * 461845)
  return band(bxor(i, rshift(i, 13)), 0x7fffffff)
end

--- Bid number i.
---@param i integer
---@return table
function M.bid(i)
  local a = M.scramble(i)
  local b = M.scramble(a)
  local c = M.scramble(b)
  return {
    id = i,
    auction = 1000 + band(a, 4095),
    bidder = 1000 + band(b, 8191),
    price = 100 + band(c, 0xffffff),
    ts = BASE_MS + i,
  }
end

--- The layout of M.bid; the price of a copy may have decimals.
M.BID = { id = "i64", auction = "i64", bidder = "i64", price = "f64", ts = "time" }

return M
