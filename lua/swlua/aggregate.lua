--- Aggregators: sw.count(), sw.sum("amount") and their like.
---
---     events --add--> slot of an accumulator --result--> value;     two accumulators --merge--> one
---
--- An accumulator is a plain table with a slot per aggregator, so that it can be saved. A value that is nil is passed
--- over by every aggregator but sw.count().
local check = require("swlua.check")
local each = require("swlua.internal.each")
local values = require("swlua.values")
local bit = require("bit")
local ffi = require("ffi")
local pairs, floor, ceil, exp, log, max = each.pairs, math.floor, math.ceil, math.exp, math.log, math.max

---@class swlua.aggregate
local M = {}

---@class swlua.Aggregator
---@field name string
---@field field string|function|nil
---@field add fun(acc: table, slot: string, event: table, time: integer)
---@field merge fun(acc: table, slot: string, other: table) takes in what `other` has
---@field result fun(acc: table, slot: string): any
local meta = {}
meta.__index = meta
meta.__tostring = function(self)
  return ("sw.%s(%s)"):format(self.name, type(self.field) == "string" and check.quoted(self.field) or "")
end

--- Is this an aggregator?
---@param value any
---@return boolean
function M.is_aggregator(value)
  return getmetatable(value) == meta
end

local function new(name, field, functions)
  functions.name, functions.field = name, field
  return setmetatable(functions, meta)
end

local function reader_of(name, field)
  local _, expected = check.rule.field_or_function(field)
  if expected then
    check.problem(("sw.%s: expected %s, got %s"):format(name, expected, check.show(field)))
    return function() end
  end
  if type(field) == "function" then return field end
  return function(event) return event[field] end
end

local function number_reader(name, field)
  local read = reader_of(name, field)
  return function(event)
    local v = read(event)
    if v == nil or type(v) == "number" then return v end
    if type(v) == "cdata" and tonumber(v) then return tonumber(v) end
    error(("sw.%s: %s is not a number: %s"):format(name, type(field) == "string" and field or "the value",
      check.show(v)), 0)
  end
end

local function value_of(acc, slot) return acc[slot] end

--- A value as a key of a table: numbers and strings by themselves, others by their text.
local function identity(v)
  local kind = type(v)
  if kind == "number" or kind == "string" then return v end
  return "\0" .. values.str(v)
end

--- A value that may be kept: not a record in the engine's memory.
local function kept(v)
  return type(v) == "cdata" and values.table(v) or v
end

-- Numbers ----------------------------------------------------------------------------------------------------------

--- How many events.
---@return swlua.Aggregator
function M.count(...)
  if select("#", ...) > 0 then check.problem("sw.count takes no arguments: it counts events") end
  return new("count", nil, {
    add = function(acc, slot) acc[slot] = (acc[slot] or 0) + 1 end,
    merge = function(acc, slot, other) acc[slot] = (acc[slot] or 0) + (other[slot] or 0) end,
    result = function(acc, slot) return acc[slot] or 0 end,
  })
end

--- Sum of numbers; 0 of none.
---@param field string|fun(event: table): number?
---@return swlua.Aggregator
function M.sum(field)
  local read = number_reader("sum", field)
  return new("sum", field, {
    add = function(acc, slot, event)
      local v = read(event)
      if v then acc[slot] = (acc[slot] or 0) + v end
    end,
    merge = function(acc, slot, other) acc[slot] = (acc[slot] or 0) + (other[slot] or 0) end,
    result = function(acc, slot) return acc[slot] or 0 end,
  })
end

--- Mean of numbers; nil of none.
---@param field string|fun(event: table): number?
---@return swlua.Aggregator
function M.mean(field)
  local read = number_reader("mean", field)
  local function take(acc, slot, sum, n)
    local mean = acc[slot]
    if mean then
      mean.sum, mean.n = mean.sum + sum, mean.n + n
    else
      acc[slot] = { sum = sum, n = n }
    end
  end
  return new("mean", field, {
    add = function(acc, slot, event)
      local v = read(event)
      if v then take(acc, slot, v, 1) end
    end,
    merge = function(acc, slot, other)
      if other[slot] then take(acc, slot, other[slot].sum, other[slot].n) end
    end,
    result = function(acc, slot) return acc[slot] and acc[slot].sum / acc[slot].n end,
  })
end

local function extreme(name, field, is_better)
  local read = reader_of(name, field)
  local function take(acc, slot, v)
    if v ~= nil and (acc[slot] == nil or is_better(v, acc[slot])) then acc[slot] = v end
  end
  return new(name, field, {
    add = function(acc, slot, event) take(acc, slot, read(event)) end,
    merge = function(acc, slot, other) take(acc, slot, other[slot]) end,
    result = value_of,
  })
end

local function less(a, b) return a < b end
local function greater(a, b) return a > b end

--- The least value, of numbers or of strings.
---@param field string|fun(event: table): any
---@return swlua.Aggregator
function M.min(field) return extreme("min", field, less) end

--- The greatest value, of numbers or of strings.
---@param field string|fun(event: table): any
---@return swlua.Aggregator
function M.max(field) return extreme("max", field, greater) end

-- One of many ------------------------------------------------------------------------------------------------------

--- Keeps one { at, value }: `order(event, time)` and `value(event)` say of what, `is_better(new, old)` which.
local function pick(name, field, order, value, is_better)
  local function take(acc, slot, at, v)
    local old = acc[slot]
    if not old then
      acc[slot] = { at = at, value = v }
    elseif is_better(at, old.at) then
      old.at, old.value = at, v
    end
  end
  return new(name, field, {
    add = function(acc, slot, event, time)
      local at, v = order(event, time), value(event)
      if at ~= nil and v ~= nil then take(acc, slot, at, kept(v)) end
    end,
    merge = function(acc, slot, other)
      if other[slot] then take(acc, slot, other[slot].at, other[slot].value) end
    end,
    result = function(acc, slot) return acc[slot] and values.copy(acc[slot].value) end,
  })
end

local function by_time(_, time) return time end
local function not_less(a, b) return a >= b end
local function whole(event) return event end

--- The value of the earliest event; of several, the one that came first.
---@param field string|fun(event: table): any
---@return swlua.Aggregator
function M.first(field) return pick("first", field, by_time, reader_of("first", field), less) end

--- The value of the latest event; of several, the one that came last.
---@param field string|fun(event: table): any
---@return swlua.Aggregator
function M.last(field) return pick("last", field, by_time, reader_of("last", field), not_less) end

--- The event whose field is least; of several, the one that came first.
---@param field string|fun(event: table): any
---@return swlua.Aggregator
function M.min_by(field) return pick("min_by", field, reader_of("min_by", field), whole, less) end

--- The event whose field is greatest; of several, the one that came first.
---@param field string|fun(event: table): any
---@return swlua.Aggregator
function M.max_by(field) return pick("max_by", field, reader_of("max_by", field), whole, greater) end

-- All of them ------------------------------------------------------------------------------------------------------

--- All values, in the order in which they came.
---@param field string|fun(event: table): any
---@return swlua.Aggregator
function M.collect(field)
  local read = reader_of("collect", field)
  return new("collect", field, {
    add = function(acc, slot, event)
      local v = read(event)
      local list = acc[slot]
      if not list then
        list = {}
        acc[slot] = list
      end
      if v ~= nil then list[#list + 1] = kept(v) end
    end,
    merge = function(acc, slot, other)
      local list = acc[slot] or {}
      acc[slot] = list
      for _, v in ipairs(other[slot] or {}) do list[#list + 1] = v end
    end,
    result = function(acc, slot) return values.array(values.copy(acc[slot] or {})) end,
  })
end

--- How many different values, exactly.
---@param field string|fun(event: table): any
---@return swlua.Aggregator
function M.distinct(field)
  local read = reader_of("distinct", field)
  local function take(acc, slot, key)
    local set = acc[slot]
    if not set then
      set = { n = 0, seen = {} }
      acc[slot] = set
    end
    if not set.seen[key] then set.seen[key], set.n = true, set.n + 1 end
  end
  return new("distinct", field, {
    add = function(acc, slot, event)
      local v = read(event)
      if v ~= nil then take(acc, slot, identity(v)) end
    end,
    merge = function(acc, slot, other)
      for key in pairs(other[slot] and other[slot].seen or {}) do take(acc, slot, key) end
    end,
    result = function(acc, slot) return acc[slot] and acc[slot].n or 0 end,
  })
end

-- Sketches ---------------------------------------------------------------------------------------------------------

local REGISTERS = 4096 -- standard error 1.04 / sqrt(4096) = 1.6 %

--- 64 bits of a text: FNV-1a, then the finalizer of MurmurHash3, for FNV's high bits alone are weak.
local function hash(text)
  local h = 0xcbf29ce484222325ULL
  for i = 1, #text do
    h = bit.bxor(h, ffi.cast("uint64_t", text:byte(i))) * 0x100000001b3ULL
  end
  h = bit.bxor(h, bit.rshift(h, 33)) * 0xff51afd7ed558ccdULL
  h = bit.bxor(h, bit.rshift(h, 33)) * 0xc4ceb9fe1a85ec53ULL
  return bit.bxor(h, bit.rshift(h, 33))
end

--- Raises a register; `rest` is the sum over all of 2^-register, kept so that the estimate needs no loop.
local function raise(sketch, register, rank)
  local old = sketch.ranks[register] or 0
  if rank <= old then return end
  if old == 0 then sketch.empty = sketch.empty - 1 end
  sketch.rest = sketch.rest + 2 ^ -rank - 2 ^ -old
  sketch.ranks[register] = rank
end

local function new_registers()
  return { ranks = {}, empty = REGISTERS, rest = REGISTERS }
end

--- About how many different values: HyperLogLog (Flajolet et al., 2007) of 4,096 registers, within 1.6 % (one standard
--- error), with its linear counting where values are few.
---@param field string|fun(event: table): any
---@return swlua.Aggregator
function M.approx_distinct(field)
  local read = reader_of("approx_distinct", field)
  local function sketch_of(acc, slot)
    acc[slot] = acc[slot] or new_registers()
    return acc[slot]
  end
  return new("approx_distinct", field, {
    add = function(acc, slot, event)
      local v = read(event)
      if v == nil then return end
      local h = hash(type(v) == "string" and v or "\0" .. values.str(v))
      local register, rest, rank = tonumber(h % REGISTERS) + 1, h / REGISTERS, 1
      while rank < 53 and rest % 2 == 0 do rest, rank = rest / 2, rank + 1 end
      raise(sketch_of(acc, slot), register, rank)
    end,
    merge = function(acc, slot, other)
      for register, rank in pairs(other[slot] and other[slot].ranks or {}) do
        raise(sketch_of(acc, slot), register, rank)
      end
    end,
    result = function(acc, slot)
      local sketch = acc[slot]
      if not sketch then return 0 end
      local estimate = 0.7213 / (1 + 1.079 / REGISTERS) * REGISTERS ^ 2 / sketch.rest
      if estimate <= 2.5 * REGISTERS and sketch.empty > 0 then estimate = REGISTERS * log(REGISTERS / sketch.empty) end
      return floor(estimate + 0.5)
    end,
  })
end

local EXACT = 256 -- so many values are kept as they are
local GAMMA = 1.01 / 0.99 -- a bucket's middle is within 1 % of its values
local LOG_GAMMA = log(GAMMA)

local function bucket_add(sketch, v, n)
  sketch.n = sketch.n + n
  if v == 0 then
    sketch.zero = sketch.zero + n
    return
  end
  local side = v > 0 and sketch.positive or sketch.negative
  local i = ceil(log(math.abs(v)) / LOG_GAMMA)
  side[i] = (side[i] or 0) + n
end

--- From a list of values to buckets.
local function spread(sketch)
  local list = sketch.list
  sketch.list, sketch.n, sketch.zero, sketch.positive, sketch.negative = nil, 0, 0, {}, {}
  for _, v in ipairs(list) do bucket_add(sketch, v, 1) end
end

local function sketch_add(sketch, v)
  if sketch.list and #sketch.list == EXACT then spread(sketch) end
  if sketch.list then
    sketch.list[#sketch.list + 1] = v
  else
    bucket_add(sketch, v, 1)
  end
end

local function sketch_merge(sketch, other)
  if other.list then
    for _, v in ipairs(other.list) do sketch_add(sketch, v) end
    return
  end
  if sketch.list then spread(sketch) end
  sketch.n, sketch.zero = sketch.n + other.n, sketch.zero + other.zero
  for _, name in ipairs({ "positive", "negative" }) do
    for i, n in pairs(other[name]) do sketch[name][i] = (sketch[name][i] or 0) + n end
  end
end

local function sorted_indexes(side, comes_before)
  local list = {}
  for i in pairs(side) do list[#list + 1] = i end
  table.sort(list, comes_before)
  return list
end

--- The value at a rank, 1 .. n: from the most negative bucket up.
local function value_at(sketch, rank)
  local function walk(side, order, sign)
    for _, i in ipairs(sorted_indexes(side, order)) do
      rank = rank - side[i]
      if rank <= 0 then return sign * 2 * exp(i * LOG_GAMMA) / (GAMMA + 1) end
    end
  end
  local v = walk(sketch.negative, greater, -1)
  if v then return v end
  rank = rank - sketch.zero
  if rank <= 0 then return 0 end
  return walk(sketch.positive, less, 1)
end

--- The value at rank ceil(q * n) of n: exact of up to 256 values, of more within 1 % of it (DDSketch, Masson et al.,
--- 2019).
---@param field string|fun(event: table): number?
---@param q number 0 .. 1
---@return swlua.Aggregator
function M.quantile(field, q)
  local read = number_reader("quantile", field)
  if type(q) ~= "number" or not (q >= 0 and q <= 1) then
    check.problem("sw.quantile: expected a number from 0 to 1, such as 0.99, got " .. check.show(q))
    q = 0
  end
  return new("quantile", field, {
    add = function(acc, slot, event)
      local v = read(event)
      if not v then return end
      if v - v ~= 0 then error("sw.quantile: " .. tostring(v) .. " has no place among numbers", 0) end
      acc[slot] = acc[slot] or { list = {} }
      sketch_add(acc[slot], v)
    end,
    merge = function(acc, slot, other)
      if not other[slot] then return end
      acc[slot] = acc[slot] or { list = {} }
      sketch_merge(acc[slot], other[slot])
    end,
    result = function(acc, slot)
      local sketch = acc[slot]
      if not sketch then return nil end
      local rank = max(1, ceil(q * (sketch.list and #sketch.list or sketch.n)))
      if not sketch.list then return value_at(sketch, rank) end
      local sorted = values.copy(sketch.list)
      table.sort(sorted)
      return sorted[rank]
    end,
  })
end

return M
