--- Values of events: null, arrays, copies, canonical text, ordered iteration, and times.
---
--- Records are cdata of the engine, which sets `record_copy` and `record_table` where it runs.
local ffi = require("ffi")
local pairs = require("swlua.internal.each").pairs

---@class swlua.values
local M = {}

--- Keeps a record beyond its call; nil for cdata that is none. Set by the engine.
---@type (fun(record: ffi.cdata*): any)?
M.record_copy = nil

--- Makes a table of a record; nil for cdata that is none. Set by the engine.
---@type (fun(record: ffi.cdata*): table?)?
M.record_table = nil

--- A null inside an array. (A null field of an object is absent.)
---
---     { 1, sw.null, 3 }
M.null = newproxy(true)
getmetatable(M.null).__tostring = function()
  return "null"
end

--- Metatable that marks a table as an array.
M.array_metatable = { __name = "sw.array" }

--- Marks a table as an array, so that it stays one also when it is empty.
---
---     out:emit({ tags = sw.array() })   -- {"tags":[]}
---@param items any[]? default: a new table
---@return any[]
function M.array(items)
  if items ~= nil and type(items) ~= "table" then
    error(("sw.array: expected a table, got a %s"):format(type(items)), 2)
  end
  return setmetatable(items or {}, M.array_metatable)
end

-- Copies --------------------------------------------------------------------------------------------------------

-- Records inside a table are views as well, and are copied by the same function as one at the top.
local function deep_copy(value, copy_record)
  if type(value) == "cdata" then return copy_record and copy_record(value) or value end
  if type(value) ~= "table" then return value end
  local copy = {}
  for k, v in pairs(value) do
    copy[k] = deep_copy(v, copy_record)
  end
  return setmetatable(copy, getmetatable(value))
end

--- A copy of an event that may be kept.
---
---     self.last = sw.copy(event)
---@generic T
---@param event T
---@return T
function M.copy(event)
  return deep_copy(event, M.record_copy)
end

--- A table of an event, of its own: what is changed in it does not change the event.
---
---     local row = sw.table(event); row.seen = true; out:emit(row)
---@param event table|ffi.cdata*
---@return table
function M.table(event)
  return deep_copy(event, M.record_table)
end

-- Order ---------------------------------------------------------------------------------------------------------

local RANK = { number = 1, string = 2 }

local function key_before(a, b)
  local rank_a, rank_b = RANK[type(a)] or 3, RANK[type(b)] or 3
  if rank_a ~= rank_b then return rank_a < rank_b end
  if rank_a == 3 then return tostring(a) < tostring(b) end
  return a < b
end

local function other_keys(t, length)
  local keys = {}
  for k in pairs(t) do
    local in_sequence = type(k) == "number" and k >= 1 and k <= length and k % 1 == 0
    if not in_sequence then keys[#keys + 1] = k end
  end
  table.sort(keys, key_before)
  return keys
end

--- Iterates in a defined order: 1..#t, then other numbers, then strings bytewise.
---
---     for k, v in sw.pairs({ b = 2, 10, a = 1 }) do print(k, v) end   --> 1 10, a 1, b 2
---@param t table|ffi.cdata*
---@return fun(): any, any
function M.pairs(t)
  if type(t) == "cdata" then t = M.table(t) end
  local length, at = #t, 0
  local keys = other_keys(t, length)
  return function()
    at = at + 1
    if at <= length then return at, t[at] end
    local key = keys[at - length]
    if key ~= nil then return key, t[key] end
  end
end

-- Text ----------------------------------------------------------------------------------------------------------

local INT64, UINT64 = ffi.typeof("int64_t"), ffi.typeof("uint64_t")
local ESCAPES = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

local function quote(text)
  return '"' .. text:gsub('[%c"\\]', function(c)
    return ESCAPES[c] or ("\\u%04x"):format(c:byte())
  end) .. '"'
end

local function number_text(n)
  if n % 1 == 0 and n > -2 ^ 53 and n < 2 ^ 53 and not (n == 0 and 1 / n < 0) then return ("%d"):format(n) end
  for digits = 15, 17 do
    local text = ("%%.%dg"):format(digits):format(n)
    if tonumber(text) == n then return text end
  end
  return tostring(n)
end

local function is_array(t)
  if getmetatable(t) == M.array_metatable then return true end
  local count = 0
  for _ in pairs(t) do
    count = count + 1
  end
  return count > 0 and count == #t
end

local text_of

local function table_text(t)
  local parts, array = {}, is_array(t)
  for key, value in M.pairs(t) do
    local text = text_of(value)
    parts[#parts + 1] = array and text or quote(M.str(key)) .. ":" .. text
  end
  local inner = table.concat(parts, ",")
  return array and "[" .. inner .. "]" or "{" .. inner .. "}"
end

local function cdata_text(value)
  if ffi.istype(INT64, value) or ffi.istype(UINT64, value) then return (tostring(value):gsub("U?LL$", "")) end
  local row = M.record_table and M.record_table(value)
  return row and table_text(row) or tostring(value)
end

function text_of(value)
  local kind = type(value)
  if kind == "string" then return quote(value) end
  if kind == "number" then return number_text(value) end
  if kind == "table" then return table_text(value) end
  if kind == "cdata" then return cdata_text(value) end
  return value == nil and "null" or tostring(value)
end

--- Text of a value: strings as they are, 64-bit integers as digits, tables as JSON with sorted keys.
---
---     sw.str(9007199254740993LL)      --> 9007199254740993
---     sw.str({ b = { 1, 2 }, a = 1 }) --> {"a":1,"b":[1,2]}
---@param value any
---@return string
function M.str(value)
  return type(value) == "string" and value or text_of(value)
end

-- Times ---------------------------------------------------------------------------------------------------------

---@class swlua.time
M.time = {}

local DAY_MS = 86400000

-- Days since the epoch of a civil date, and back: eras of 400 years that begin in March.
local function days_of(year, month, day)
  if month <= 2 then year = year - 1 end
  local era = math.floor(year / 400)
  local year_of_era = year - era * 400
  local day_of_year = math.floor((153 * (month + (month > 2 and -3 or 9)) + 2) / 5) + day - 1
  local day_of_era = year_of_era * 365 + math.floor(year_of_era / 4) - math.floor(year_of_era / 100) + day_of_year
  return era * 146097 + day_of_era - 719468
end

local function date_of(days)
  days = days + 719468
  local era = math.floor(days / 146097)
  local doe = days - era * 146097
  local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524) - math.floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
  local shifted = math.floor((5 * doy + 2) / 153)
  local month = shifted < 10 and shifted + 3 or shifted - 9
  local year = yoe + era * 400 + (month <= 2 and 1 or 0)
  return year, month, doy - math.floor((153 * shifted + 2) / 5) + 1
end

local function zone_ms(zone)
  if zone == "" or zone == "Z" or zone == "z" then return 0 end
  local sign, hours, minutes = zone:match("^([+-])(%d%d):?(%d%d)$")
  if sign == nil then return nil end
  local ms = (tonumber(hours) * 60 + tonumber(minutes)) * 60000
  return sign == "-" and -ms or ms
end

local function clock_ms(text)
  if text == "" then return 0 end
  local h, m, s, fraction, zone = text:match("^[Tt ](%d%d):(%d%d):?(%d*)%.?(%d*)(.*)$")
  local offset = zone and zone_ms(zone)
  if offset == nil then return nil end
  h, m, s = tonumber(h), tonumber(m), tonumber(s) or 0
  if h > 24 or m > 59 or s > 60 then return nil end
  local fraction_ms = math.floor((tonumber("0." .. fraction .. "0") or 0) * 1000 + 1e-6)
  return ((h * 60 + m) * 60 + s) * 1000 + fraction_ms - offset
end

--- Epoch milliseconds of an ISO 8601 time (UTC unless it says its zone); nil for a text that is none.
---
---     sw.time.iso("2024-05-01T12:00:00.250Z")  --> 1714564800250
---@param text string
---@return integer?
function M.time.iso(text)
  if type(text) ~= "string" then return nil end
  local year, month, day, rest = text:match("^(%d%d%d%d)-(%d%d)-(%d%d)(.*)$")
  if year == nil then return nil end
  year, month, day = tonumber(year), tonumber(month), tonumber(day)
  local days = days_of(year, month, day)
  local _, same_month, same_day = date_of(days)
  if same_month ~= month or same_day ~= day then return nil end
  local ms = clock_ms(rest)
  return ms and days * DAY_MS + ms
end

--- Epoch milliseconds of epoch seconds.
---
---     sw.time.seconds(1714564800.25)  --> 1714564800250
---@param seconds number
---@return integer?
function M.time.seconds(seconds)
  seconds = tonumber(seconds)
  return seconds and math.floor(seconds * 1000 + 0.5)
end

--- ISO 8601 text of epoch milliseconds, in UTC.
---
---     sw.time.format(1714564800250)  --> "2024-05-01T12:00:00.250Z"
---@param ms integer
---@return string
function M.time.format(ms)
  ms = tonumber(ms)
  local days = math.floor(ms / DAY_MS)
  local rest = math.floor(ms - days * DAY_MS)
  local year, month, day = date_of(days)
  local h, m, s = math.floor(rest / 3600000), math.floor(rest / 60000) % 60, math.floor(rest / 1000) % 60
  return ("%04d-%02d-%02dT%02d:%02d:%02d.%03dZ"):format(year, month, day, h, m, s, rest % 1000)
end

return M
