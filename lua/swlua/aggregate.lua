--- Aggregators: sw.count(), sw.sum("amount") and their like. Each says what is to be known of many events; how it is
--- kept and worked out is internal/accumulators.lua.
---
--- `field` is a field's name or a function of the event. A value that is nil is passed over by all of them, so a
--- function can choose: `sw.sum(function(event) return event.kind == "sale" and event.amount or nil end)`.
local check = require("swlua.check")

---@class swlua.aggregate
local M = {}

---@class swlua.Aggregator
---@field name string "count", "sum", ...
---@field field string|function|nil nil: the event as a whole
---@field q number? of a quantile
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

local function new(name, field, is_optional)
  local _, expected = check.rule.field_or_function(field)
  if expected and not (is_optional and field == nil) then
    check.problem(("sw.%s: expected %s, got %s"):format(name, expected, check.show(field)))
    field = function() end
  end
  return setmetatable({ name = name, field = field }, meta)
end

--- How many events; with a field, those where it is neither nil nor false.
---
---     sw.count()     sw.count(function(event) return event.price >= 10000 end)
---@param field? string|fun(event: table): any
---@return swlua.Aggregator
function M.count(field) return new("count", field, true) end

--- Sum of numbers; 0 of none. Of integers it is exact up to 2^63, and an error beyond.
---@param field string|fun(event: table): number?
---@return swlua.Aggregator
function M.sum(field) return new("sum", field) end

--- Mean of numbers; nil of none.
---@param field string|fun(event: table): number?
---@return swlua.Aggregator
function M.mean(field) return new("mean", field) end

--- The least value, of numbers or of strings. NaN is passed over.
---@param field string|fun(event: table): any
---@return swlua.Aggregator
function M.min(field) return new("min", field) end

--- The greatest value, of numbers or of strings. NaN is passed over.
---@param field string|fun(event: table): any
---@return swlua.Aggregator
function M.max(field) return new("max", field) end

--- The value of the event with the earliest time, or that event; of several, the one that came first.
---@param field? string|fun(event: table): any
---@return swlua.Aggregator
function M.first(field) return new("first", field, true) end

--- The value of the event with the latest time, or that event; of several, the one that came last.
---@param field? string|fun(event: table): any
---@return swlua.Aggregator
function M.last(field) return new("last", field, true) end

--- The event whose field is least; of several, the earliest.
---@param field string|fun(event: table): any
---@return swlua.Aggregator
function M.min_by(field) return new("min_by", field) end

--- The event whose field is greatest; of several, the earliest.
---@param field string|fun(event: table): any
---@return swlua.Aggregator
function M.max_by(field) return new("max_by", field) end

--- All values, or events, in order of time; of one time, as they came.
---@param field? string|fun(event: table): any
---@return swlua.Aggregator
function M.collect(field) return new("collect", field, true) end

--- How many different values, exactly.
---@param field string|fun(event: table): any
---@return swlua.Aggregator
function M.distinct(field) return new("distinct", field) end

--- About how many different values: HyperLogLog (Flajolet et al., 2007) of 4,096 registers, with the estimator of Ertl
--- (2017). Standard error 1.63 %.
---@param field string|fun(event: table): any
---@return swlua.Aggregator
function M.approx_distinct(field) return new("approx_distinct", field) end

--- The value at rank ceil(q * n) of n: exact of up to 256 values, of more within 1 % of it (DDSketch, Masson et al.,
--- 2019).
---
---     sw.quantile("ms", 0.99)
---@param field string|fun(event: table): number?
---@param q number 0 .. 1
---@return swlua.Aggregator
function M.quantile(field, q)
  local aggregator = new("quantile", field)
  if type(q) ~= "number" or not (q >= 0 and q <= 1) then
    check.problem("sw.quantile: expected a number from 0 to 1, such as 0.99, got " .. check.show(q))
    q = 0
  end
  aggregator.q = q
  return aggregator
end

return M
