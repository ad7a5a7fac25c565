--- Seeded generator of labelled card transactions, in order of time.
---
--- Honest owners pay near home by a habit of their own. Now and then one travels, buys something big, pays several
--- times in a row, or orders from a shop far away: all of that looks a little like fraud and is none. Frauds are of
--- three kinds, and labelled: "stolen" (a copy of the card is used far away, soon after the owner paid), "testing" (a
--- burst of small payments) and "overspend" (one payment far above the habit). The same seed gives the same.
---@class fraud.generator
local M = {}
M.__index = M

local geo = require((...):match("^(.-)[^.]*$") .. "geo")

local START_MS = 1704096000000 -- 2024-01-01T08:00:00Z
local DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS = 86400000, 3600000, 60000, 1000
local PAYMENTS_PER_CARD, PAYMENTS_PER_DAY = 50, 5
local FLIGHT_KM_H, AIRPORT_MS = 800, 2 * HOUR_MS

local CITIES = {
  { "Amsterdam", 52.37, 4.90 }, { "Athens", 37.98, 23.73 }, { "Berlin", 52.52, 13.41 },
  { "Buenos Aires", -34.60, -58.38 },
  { "Chicago", 41.88, -87.63 }, { "Delhi", 28.61, 77.21 }, { "Istanbul", 41.01, 28.98 }, { "Lagos", 6.52, 3.38 },
  { "Lisbon", 38.72, -9.14 }, { "London", 51.51, -0.13 }, { "Madrid", 40.42, -3.70 }, { "Mexico City", 19.43, -99.13 },
  { "Nairobi", -1.29, 36.82 }, { "New York", 40.71, -74.01 }, { "Oslo", 59.91, 10.75 }, { "Rome", 41.90, 12.50 },
  { "Seoul", 37.57, 126.98 }, { "Singapore", 1.35, 103.82 }, { "Sydney", -33.87, 151.21 }, { "Tokyo", 35.68, 139.69 },
}
local MERCHANTS = {
  "bakery", "bookshop", "cafe", "cinema", "electronics", "fuel", "grocer", "hotel", "pharmacy", "taxi",
}

-- Chances that an honest payment is, or is followed by, something out of the ordinary.
local CHANCE = {
  trip = 0.004, big = 0.01, row = 0.006, far_shop = 0.001,
  stolen = 0.005, testing = 0.0014, overspend = 0.005,
}

---------------------------------------------------------------------------------------------------------- randomness

-- Park and Miller's generator: exact in doubles, and the same on every machine.
local function next_random(self)
  self.seed = self.seed * 48271 % 2147483647
  return self.seed / 2147483647
end

local function between(self, low, high)
  return low + (high - low) * next_random(self)
end

local function choose(self, list)
  return list[1 + math.floor(next_random(self) * #list)]
end

local function normal(self)
  return math.sqrt(-2 * math.log(next_random(self))) * math.cos(2 * math.pi * next_random(self))
end

local function round(x, decimals)
  return math.floor(x * 10 ^ decimals + 0.5) / 10 ^ decimals
end

------------------------------------------------------------------------------------------------------------- payments

local function habitual_amount(self, card)
  return math.exp(card.log_amount + card.spread * normal(self))
end

--- A payment that is yet without an id; place is a city.
local function payment(self, card, ts, amount, city, kind)
  return {
    ts = math.floor(ts), card = card.name, amount = math.max(round(amount, 2), 0.01),
    merchant = choose(self, MERCHANTS),
    lat = round(city[2] + between(self, -0.1, 0.1), 4), lon = round(city[3] + between(self, -0.1, 0.1), 4),
    fraud = kind and true, kind = kind,
  }
end

--- Puts a payment among those to come, which are kept in order of time.
local function schedule(self, event)
  local at = #self.pending + 1
  while at > 1 and self.pending[at - 1].ts > event.ts do at = at - 1 end
  table.insert(self.pending, at, event)
end

local function far_city(self, city)
  for _ = 1, 20 do
    local other = choose(self, CITIES)
    if geo.distance_km(city[2], city[3], other[2], other[3]) > 1500 then return other end
  end
  return city == CITIES[1] and CITIES[20] or CITIES[1]
end

local function fly(card, city, now)
  local km = geo.distance_km(card.city[2], card.city[3], city[2], city[3])
  card.city, card.lands_at = city, now + AIRPORT_MS + km / FLIGHT_KM_H * HOUR_MS
end

------------------------------------------------------------------------------------------------------------ incidents

--- What may follow an honest payment, by name in CHANCE.
local follow = {}

function follow.trip(self, card, ts)
  if card.trip_ends then return end
  fly(card, far_city(self, card.home), ts)
  card.trip_ends = card.lands_at + between(self, 1, 4) * DAY_MS
end

function follow.row(self, card, ts)
  for _ = 1, math.floor(between(self, 1, 4)) do
    ts = ts + between(self, 8000, 40000)
    schedule(self, payment(self, card, ts, habitual_amount(self, card) * between(self, 0.3, 0.8), card.city))
  end
end

function follow.stolen(self, card, ts)
  local city = far_city(self, card.city)
  ts = ts + (next_random(self) < 0.85 and between(self, 3, 60) * MINUTE_MS or between(self, 2, 12) * HOUR_MS)
  for _ = 1, math.floor(between(self, 2, 5)) do
    schedule(self, payment(self, card, ts, habitual_amount(self, card) * between(self, 1, 4), city, "stolen"))
    ts = ts + between(self, 4, 30) * MINUTE_MS
  end
end

function follow.testing(self, card, ts)
  ts = ts + between(self, 1, 180) * MINUTE_MS
  for _ = 1, math.floor(between(self, 9, 16)) do
    schedule(self, payment(self, card, ts, between(self, 0.5, 2.5), card.city, "testing"))
    ts = ts + between(self, 1500, 8000)
  end
end

function follow.overspend(self, card, ts)
  ts = ts + between(self, 1, 180) * MINUTE_MS
  schedule(self, payment(self, card, ts, math.exp(card.log_amount) * between(self, 10, 45), card.city, "overspend"))
end

-- A list, not pairs(follow): the order in which chances are drawn is part of what a seed means.
local FOLLOWS = { "trip", "row", "stolen", "testing", "overspend" }

---------------------------------------------------------------------------------------------------------- the sequence

local function new_card(self, number)
  local home = choose(self, CITIES)
  return {
    name = ("c%05d"):format(number), home = home, city = home, lands_at = 0,
    log_amount = math.log(between(self, 12, 90)), spread = between(self, 0.3, 0.55),
  }
end

--- A card that can pay now: not one whose owner is in the air.
local function paying_card(self)
  while true do
    local card = choose(self, self.cards)
    if card.trip_ends and self.now > card.trip_ends then
      fly(card, card.home, self.now)
      card.trip_ends = nil
    end
    if self.now >= card.lands_at then return card end
    self.now = self.now + SECOND_MS -- Should all be flying, time goes on until one lands.
  end
end

local function honest_payment(self)
  self.now = self.now - math.log(next_random(self)) * self.mean_gap_ms
  local card = paying_card(self)
  local amount = habitual_amount(self, card)
  if next_random(self) < CHANCE.big then amount = math.exp(card.log_amount) * between(self, 3, 9) end
  local city = next_random(self) < CHANCE.far_shop and far_city(self, card.city) or card.city
  local event = payment(self, card, self.now, amount, city)
  for _, name in ipairs(FOLLOWS) do
    if next_random(self) < CHANCE[name] then follow[name](self, card, self.now) end
  end
  return event
end

--- A generator of count transactions.
---
---     local transactions = generator.new(5000, 1)
---     transactions:next()   --> { id = 1, ts = 1704096530858, card = "c00010", amount = 35.93, ... }
---@param count integer
---@param seed integer
---@return fraud.generator
function M.new(count, seed)
  local self = setmetatable({ seed = seed % 2147483646 + 1, count = count, id = 0, now = START_MS, pending = {} }, M)
  for _ = 1, 8 do next_random(self) end -- Neighbouring seeds begin alike.
  local cards = math.max(math.floor(count / PAYMENTS_PER_CARD), 10)
  self.cards, self.mean_gap_ms = {}, DAY_MS / (PAYMENTS_PER_DAY * cards)
  for number = 1, cards do self.cards[number] = new_card(self, number) end
  self.honest = honest_payment(self)
  return self
end

--- The next transaction, or nil after the last one. The table is the caller's.
---@return table|nil
function M:next()
  if self.id == self.count then return nil end
  self.id = self.id + 1
  local event
  if self.pending[1] and self.pending[1].ts <= self.honest.ts then
    event = table.remove(self.pending, 1)
  else
    event, self.honest = self.honest, honest_payment(self)
  end
  event.id = self.id
  return event
end

return M
