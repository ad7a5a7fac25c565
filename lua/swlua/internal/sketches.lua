--- Sketches: what can be said of many values in little room. Plain tables that can be saved; merging two gives what one
-- of all their values would be.
--
--   distinct values   HyperLogLog: { [register] = rank }, 4,096 registers of which those in use are there
--   quantiles         DDSketch: { n, list } of up to 256 values, then { n, zero, positive, negative }, two of
--                     { [bucket] = n }
local bit = require("bit")
local each = require("swlua.internal.each")
local ffi = require("ffi")
local values = require("swlua.values")
local pairs, floor, ceil, abs, min = each.pairs, math.floor, math.ceil, math.abs, math.min
local exp, log, sqrt = math.exp, math.log, math.sqrt
local band, bxor, rshift = bit.band, bit.bxor, bit.rshift
local uint64, bytes_p = ffi.typeof("uint64_t"), ffi.typeof("const uint8_t *")

local M = {}

-- Distinct values ----------------------------------------------------------------------------------------------------

local REGISTER_BITS = 12
local REGISTERS = 2 ^ REGISTER_BITS -- standard error 1.04 / sqrt(4096)
local RANK_MAX = 64 - REGISTER_BITS + 1
local block = ffi.new("union { double d; uint64_t w[8]; }")

--- The finalizer of MurmurHash3: every bit of h decides about every bit of the result.
local function mixed(h)
  h = bxor(h, rshift(h, 33)) * 0xff51afd7ed558ccdULL
  h = bxor(h, rshift(h, 33)) * 0xc4ceb9fe1a85ec53ULL
  return bxor(h, rshift(h, 33))
end

--- The words of a text, 64 bytes at a time, each in its turn.
local function hash_text(v)
  local left, h = #v, uint64(#v)
  local p = ffi.cast(bytes_p, v)
  while left > 0 do
    local size = min(left, 64)
    local last = floor((size - 1) / 8)
    block.w[last] = 0
    ffi.copy(block, p, size)
    for i = 0, last do
      h = bxor(h, block.w[i]) * 0x9e3779b97f4a7c15ULL
      h = bxor(h, rshift(h, 32))
    end
    p, left = p + size, left - size
  end
  return mixed(h)
end

local function hash(v)
  if type(v) == "string" then return hash_text(v) end
  block.d = v
  return mixed(block.w[0] + 0x9e3779b97f4a7c15ULL)
end

local function trailing_zeros(word)
  local n = 0
  while band(word, 1) == 0 do word, n = rshift(word, 1), n + 1 end
  return n
end

--- Adds a value: a number or a string.
function M.add_distinct(ranks, v)
  local h = hash(v)
  local low, high = tonumber(band(h, 0xffffffffULL)), tonumber(rshift(h, 32))
  local register, rest = rshift(high, 32 - REGISTER_BITS) + 1, band(high, 0xfffff)
  local rank = RANK_MAX
  if low ~= 0 then rank = trailing_zeros(low) + 1 elseif rest ~= 0 then rank = trailing_zeros(rest) + 33 end
  local old = ranks[register]
  if old == nil or rank > old then ranks[register] = rank end
end

function M.merge_distinct(ranks, others)
  for register, rank in pairs(others) do
    if rank > (ranks[register] or 0) then ranks[register] = rank end
  end
end

--- Ertl's sums over what registers of rank 0, and those of the highest rank, leave open.
local function sigma(x)
  local y, z = 1, x
  repeat
    local before = z
    x = x * x
    z, y = z + x * y, 2 * y
  until z == before
  return z
end

local function tau(x)
  if x == 0 or x == 1 then return 0 end
  local y, z = 1, 1 - x
  repeat
    local before = z
    x, y = sqrt(x), y / 2
    z = z - (1 - x) ^ 2 * y
  until z == before
  return z / 3
end

--- How many different values were added, about.
function M.distinct(ranks)
  local counts, empty = {}, REGISTERS
  for _, rank in pairs(ranks) do
    counts[rank] = (counts[rank] or 0) + 1
    empty = empty - 1
  end
  if empty == REGISTERS then return 0 end
  local z = REGISTERS * tau(1 - (counts[RANK_MAX] or 0) / REGISTERS)
  for rank = RANK_MAX - 1, 1, -1 do z = (z + (counts[rank] or 0)) / 2 end
  z = z + REGISTERS * sigma(empty / REGISTERS)
  return floor(REGISTERS ^ 2 / (2 * log(2) * z) + 0.5)
end

-- Quantiles ----------------------------------------------------------------------------------------------------------

local EXACT = 256 -- so many values are kept as they are
local GAMMA = 1.01 / 0.99 -- a bucket's middle is within 1 % of its values
local LOG_GAMMA = log(GAMMA)

function M.new_values()
  return { n = 0, list = {} }
end

local function add_to_bucket(sketch, v)
  if v == 0 then
    sketch.zero = sketch.zero + 1
    return
  end
  local side = v > 0 and sketch.positive or sketch.negative
  local bucket = ceil(log(abs(v)) / LOG_GAMMA)
  side[bucket] = (side[bucket] or 0) + 1
end

--- From a list of values to buckets.
local function spread(sketch)
  local list = sketch.list
  sketch.list, sketch.zero, sketch.positive, sketch.negative = nil, 0, {}, {}
  for i = 1, #list do add_to_bucket(sketch, list[i]) end
end

--- Adds a finite number.
function M.add_value(sketch, v)
  local list = sketch.list
  sketch.n = sketch.n + 1
  if list and sketch.n <= EXACT then
    list[sketch.n] = v
    return
  end
  if list then spread(sketch) end
  add_to_bucket(sketch, v)
end

function M.merge_values(sketch, other)
  if other.list then
    for i = 1, #other.list do M.add_value(sketch, other.list[i]) end
    return
  end
  if sketch.list then spread(sketch) end
  sketch.n, sketch.zero = sketch.n + other.n, sketch.zero + other.zero
  for bucket, n in pairs(other.positive) do sketch.positive[bucket] = (sketch.positive[bucket] or 0) + n end
  for bucket, n in pairs(other.negative) do sketch.negative[bucket] = (sketch.negative[bucket] or 0) + n end
end

local function less(a, b) return a < b end
local function greater(a, b) return a > b end

--- The bucket that holds the rank-th value of a side, or how many values the side has.
local function bucket_of(side, comes_before, rank)
  local buckets, seen = {}, 0
  for bucket in pairs(side) do buckets[#buckets + 1] = bucket end
  table.sort(buckets, comes_before)
  for _, bucket in ipairs(buckets) do
    seen = seen + side[bucket]
    if seen >= rank then return bucket end
  end
  return nil, seen
end

local function middle(bucket)
  return 2 * exp(bucket * LOG_GAMMA) / (GAMMA + 1)
end

--- The value at rank ceil(q * n); nil of none.
function M.quantile(sketch, q)
  local rank = math.max(1, ceil(q * sketch.n))
  if sketch.n == 0 then return nil end
  if sketch.list then
    local sorted = values.copy(sketch.list)
    table.sort(sorted)
    return sorted[rank]
  end
  local bucket, below = bucket_of(sketch.negative, greater, rank)
  if bucket then return -middle(bucket) end
  rank = rank - below - sketch.zero
  if rank <= 0 then return 0 end
  return middle((bucket_of(sketch.positive, less, rank)))
end

return M
