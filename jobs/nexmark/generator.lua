--- NEXMark's events: of fifty one person, three auctions and 46 bids, with hot sellers, auctions and bidders.
---
--- Each event is a function of its number, the seed and the options, so that any part can be made again. After the
--- generator of the NEXMark suite (github.com/nexmark/nexmark and Apache Beam), with the same proportions.
local bit = require("bit")
local floor = math.floor

local M = {}

local BASE_MS = 1436918400000 -- 2015-07-15T00:00:00Z
local FIRST = 1000 -- the first id of persons and of auctions
local CITIES = { "Phoenix", "Los Angeles", "San Francisco", "Boise", "Portland", "Bend", "Redmond", "Seattle", "Kent",
  "Cheyenne" }
local STATES = { "AZ", "CA", "ID", "OR", "WA", "WY" }
local FIRST_NAMES = { "Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie", "Sarah", "Deiter", "Walter" }
local LAST_NAMES = { "Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton", "Smith", "Jones", "Noris" }
local CHANNELS = { "Google", "Facebook", "Baidu", "Apple" }

--- A random number generator of 32 bits: xorshift (Marsaglia, 2003). Returns next(n): a whole number in [0, n).
local function new_random(seed)
  local x = bit.tobit(seed)
  if x == 0 then x = 0x2545f491 end
  return function(n)
    x = bit.bxor(x, bit.lshift(x, 13))
    x = bit.bxor(x, bit.rshift(x, 17))
    x = bit.bxor(x, bit.lshift(x, 5))
    return floor((x % 2 ^ 32) / 2 ^ 32 * n)
  end
end

--- A generator for one event: numbers that follow on each other give unrelated ones.
local function random_of(seed, n)
  local random = new_random(bit.bxor(seed * 0x9e37 + 1, n * 0x85eb + 0x1234567))
  for _ = 1, 6 do random(1) end
  return random
end

local function letters(random, count)
  local bytes = {}
  for i = 1, count do bytes[i] = 97 + random(26) end
  return string.char(unpack(bytes))
end

local function padding(random, missing)
  local most = math.max(0, missing) * 0.4
  return letters(random, floor(math.max(0, missing) * 0.8) + random(floor(most) + 1))
end

local function price(random)
  return floor(100 * 10 ^ (random(1e9) / 1e9 * 6) + 0.5)
end

local function pick(random, list) return list[random(#list) + 1] end

-- Ids --------------------------------------------------------------------------------------------------------------

local function persons_until(n) return floor(n / 50) + 1 end

local function auctions_until(n) return floor(n / 50) * 3 + math.min(n % 50, 3) end

--- One of the newest `active` of `count` ids, or of a few that do not exist yet.
local function cold(random, count, active)
  local newest = math.min(count, active)
  return FIRST + count - newest + random(newest + 10)
end

local function hot_or_cold(random, ratio, count, active, place)
  if random(ratio) > 0 then return FIRST + floor((count - 1) / 100) * 100 + place end
  return cold(random, count, active)
end

-- Events -----------------------------------------------------------------------------------------------------------

local function person(random, n, ts)
  local first, last = pick(random, FIRST_NAMES), pick(random, LAST_NAMES)
  local card = {}
  for i = 1, 4 do card[i] = ("%04d"):format(random(10000)) end
  return {
    type = "person", ts = ts, id = FIRST + persons_until(n) - 1, name = first .. " " .. last,
    emailAddress = letters(random, 7) .. "@" .. letters(random, 5) .. ".com", creditCard = table.concat(card, " "),
    city = pick(random, CITIES), state = pick(random, STATES), extra = padding(random, 120),
  }
end

local function auction(random, n, ts, flight_ms)
  local initial = price(random)
  local hot = hot_or_cold(random, 4, persons_until(n), 1000, 0)
  return {
    type = "auction", ts = ts, id = FIRST + auctions_until(n) - 1, itemName = letters(random, 5 + random(16)),
    description = letters(random, 20 + random(80)), initialBid = initial, reserve = initial + price(random),
    expires = ts + 1 + random(math.max(1, 2 * flight_ms)), seller = hot, category = 10 + random(5),
    extra = padding(random, 350),
  }
end

local function directory(random)
  return (letters(random, 3 + random(2)):gsub("[nq]", "_"))
end

--- A channel and its url, which is always the same.
local function channel_of(random)
  local is_known = random(2) == 0
  local number = is_known and random(#CHANNELS) or random(10000)
  local own = random_of(is_known and 77 or 78, number)
  local url = ("https://www.nexmark.com/%s/%s/%s/item.htm?query=1")
    :format(directory(own), directory(own), directory(own))
  if is_known then return CHANNELS[number + 1], url end
  if own(10) > 0 then url = url .. "&channel_id=" .. own(2 ^ 31) end
  return "channel-" .. number, url
end

local function bid(random, n, ts)
  local channel, url = channel_of(random)
  return {
    type = "bid", ts = ts, auction = hot_or_cold(random, 2, math.max(1, auctions_until(n)), 101, 0),
    bidder = hot_or_cold(random, 4, persons_until(n), 1000, 1), price = price(random), channel = channel, url = url,
    extra = letters(random, 54 + random(28)),
  }
end

--- Which event comes at a place: events trade places within blocks that last no longer than the disorder.
local function shuffled(i, block, seed)
  if block < 2 then return i end
  local number = floor(i / block)
  local random = random_of(seed, number)
  local step
  repeat
    step = 1 + random(block - 1)
    local a, b = step, block
    while b > 0 do a, b = b, a % b end
  until a == 1
  return number * block + ((i - number * block) * step + random(block)) % block
end

--- A function that makes the i-th event, i from 1.
---@param options { rate: integer, seed: integer, disorder: integer } events per second of event time; ms
function M.events(options)
  local rate, seed = options.rate, options.seed
  local block = floor(options.disorder * rate / 1000)
  local flight_ms = floor(1666 * 1000 / rate)
  return function(i)
    local n = shuffled(i - 1, block, seed)
    local ts, random, kind = BASE_MS + floor(n * 1000 / rate), random_of(seed, n), n % 50
    if kind == 0 then return person(random, n, ts) end
    if kind <= 3 then return auction(random, n, ts, flight_ms) end
    return bid(random, n, ts)
  end
end

return M
