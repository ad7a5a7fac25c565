--- Lua values to msgpack, in a scratch: the body of a row of a table event, a state table at rest, a key.
-- The shortest form of each value; agrees byte for byte with msgpack-c (spec/swlua/internal/pack_spec.lua).
-- Numbers with an integral value within 2^53 are integers (but -0.0 is a double), others float64; int64 and uint64
-- cdata are integers.
local bit = require("bit")
local f = require("swlua.internal.ffi")
local values = require("swlua.values")

local ffi, grow = f.ffi, f.grow
local bswap, rshift = bit.bswap, bit.rshift
local floor, type, getmetatable = math.floor, type, getmetatable
local next = require("swlua.internal.each").next -- what only encodes has no use for an order
local copy, cast, istype = ffi.copy, ffi.cast, ffi.istype
local int64, uint64 = f.int64, f.uint64
local null, array_mt = values.null, values.array_metatable
local u16_p, u32_p = ffi.typeof("uint16_t *"), ffi.typeof("uint32_t *")
local double_view = ffi.new("union { double d; uint32_t w[2]; }")

local DEPTH_MAX = 24

local M = {}

local function put_u32(p, v)
  cast(u32_p, p)[0] = bswap(v)
end

local function put_u16(p, v)
  cast(u16_p, p)[0] = rshift(bswap(v), 16)
end

local function put_double(d, off, v)
  double_view.d = v
  d[off] = 0xcb
  put_u32(d + off + 1, double_view.w[1])
  put_u32(d + off + 5, double_view.w[0])
  return off + 9
end

--- An integral number within 2^53.
local function put_integer(d, off, v)
  if v >= 0 then
    if v < 128 then d[off] = v return off + 1 end
    if v < 256 then d[off] = 0xcc d[off + 1] = v return off + 2 end
    if v < 65536 then d[off] = 0xcd put_u16(d + off + 1, v) return off + 3 end
    if v < 4294967296 then d[off] = 0xce put_u32(d + off + 1, v) return off + 5 end
    local high = floor(v / 4294967296)
    d[off] = 0xcf
    put_u32(d + off + 1, high)
    put_u32(d + off + 5, v - high * 4294967296)
    return off + 9
  end
  if v >= -32 then d[off] = 256 + v return off + 1 end
  if v >= -128 then d[off] = 0xd0 d[off + 1] = 256 + v return off + 2 end
  if v >= -32768 then d[off] = 0xd1 put_u16(d + off + 1, 65536 + v) return off + 3 end
  if v >= -2147483648 then d[off] = 0xd2 put_u32(d + off + 1, v) return off + 5 end
  local high = floor(v / 4294967296)
  d[off] = 0xd3
  put_u32(d + off + 1, high)
  put_u32(d + off + 5, v - high * 4294967296)
  return off + 9
end

local function put_number(S, off, v)
  if off + 9 > S.cap then grow(S, off + 9) end
  if v == floor(v) and v <= 9007199254740992 and v >= -9007199254740992 and (v ~= 0 or 1 / v > 0) then
    return put_integer(S.data, off, v)
  end
  return put_double(S.data, off, v)
end

local function put_wide(d, off, tag, v)
  local bits = cast(uint64, v)
  d[off] = tag
  put_u32(d + off + 1, tonumber(bits / 4294967296ULL))
  put_u32(d + off + 5, tonumber(bits % 4294967296ULL))
  return off + 9
end

--- int64_t or uint64_t.
local function put_int64(S, off, v)
  if off + 9 > S.cap then grow(S, off + 9) end
  local number = tonumber(v)
  if number < 9007199254740992 and number > -9007199254740992 then return put_integer(S.data, off, number) end
  if istype(uint64, v) or v > 0 then return put_wide(S.data, off, 0xcf, v) end
  return put_wide(S.data, off, 0xd3, v)
end

local function put_string(S, off, v)
  local n = #v
  if off + 5 + n > S.cap then grow(S, off + 5 + n) end
  local d = S.data
  if n < 32 then
    d[off] = 0xa0 + n
    off = off + 1
  elseif n < 256 then
    d[off] = 0xd9
    d[off + 1] = n
    off = off + 2
  elseif n < 65536 then
    d[off] = 0xda
    put_u16(d + off + 1, n)
    off = off + 3
  else
    d[off] = 0xdb
    put_u32(d + off + 1, n)
    off = off + 5
  end
  copy(d + off, v, n)
  return off + n
end

--- The header of an array (0x90) or map (0x80) of n elements, into 1, 3 or 5 bytes.
local function put_header(d, off, fix, n)
  if n < 16 then d[off] = fix + n return off + 1 end
  local wide = fix == 0x90 and 0xdc or 0xde
  if n < 65536 then d[off] = wide put_u16(d + off + 1, n) return off + 3 end
  d[off] = wide + 1
  put_u32(d + off + 1, n)
  return off + 5
end

local put_value

local function at_path(path, key)
  return path == "" and tostring(key) or path .. "." .. tostring(key)
end

local function refuse(path, what)
  error(("field '%s': %s"):format(path == "" and "(the event)" or path, what), 0)
end

local function put_array(S, off, t, n, depth, path, keys)
  if off + 5 > S.cap then grow(S, off + 5) end
  off = put_header(S.data, off, 0x90, n)
  for i = 1, n do
    off = put_value(S, off, t[i], depth, path, i, keys)
  end
  return off
end

--- The header's size is known only behind the entries: one byte is left for it, and they move when it needs more.
local function put_map(S, off, t, depth, path, keys)
  local start, count = off, 0
  off = off + 1
  for k, v in next, t do
    if type(k) == "string" then
      off = put_string(S, off, k)
    elseif keys == "any" and type(k) == "number" then
      off = put_number(S, off, k)
    else
      refuse(at_path(path, k), ("a %s cannot be a key"):format(type(k)))
    end
    off = put_value(S, off, v, depth, path, k, keys)
    count = count + 1
  end
  if off + 4 > S.cap then grow(S, off + 4) end
  local d = S.data
  if count < 16 then d[start] = 0x80 + count return off end
  local extra = count < 65536 and 2 or 4
  ffi.C.memmove(d + start + 1 + extra, d + start + 1, off - start - 1)
  put_header(d, start, 0x80, count)
  return off + extra
end

local function has_hole(t, n)
  for i = 1, n do
    if t[i] == nil then return true end
  end
  return false
end

--- Is this table an array: 1..n and nothing else? Returns its length, or nil for a map. `#` alone does not tell of
-- holes: { [1] = a, [2] = b, [4] = c, [9] = d } may have the length 4, and has 4 entries.
local function array_length(t, path, keys)
  local n, is_marked = #t, getmetatable(t) == array_mt
  if n == 0 and not is_marked then return nil end
  local count = 0
  for _ in next, t do count = count + 1 end
  if count == n and not (keys == "any" and has_hole(t, n)) then return n end
  if is_marked then return refuse(path, "a hole in an array (sw.null stands for null)") end
  if keys == "any" then return nil end
  return refuse(path, "a table is either an array (1..n without holes) or has string keys")
end

local function put_table(S, off, t, depth, path, keys)
  if depth >= DEPTH_MAX then refuse(path, ("nested deeper than %d"):format(DEPTH_MAX)) end
  local n = array_length(t, path, keys)
  if n then return put_array(S, off, t, n, depth + 1, path, keys) end
  if off + 5 > S.cap then grow(S, off + 5) end
  return put_map(S, off, t, depth + 1, path, keys)
end

local function put_other(S, off, v, depth, path, key, keys)
  if off + 9 > S.cap then grow(S, off + 9) end
  if v == nil then refuse(at_path(path, key), "a hole in an array (sw.null stands for null)") end
  if istype(int64, v) or istype(uint64, v) then return put_int64(S, off, v) end
  if type(v) == "cdata" then
    local as_table = values.record_table and values.record_table(v)
    if as_table then return put_table(S, off, as_table, depth, at_path(path, key), keys) end
  end
  return refuse(at_path(path, key), ("a %s cannot be part of an event"):format(type(v)))
end

function put_value(S, off, v, depth, path, key, keys)
  local kind = type(v)
  if kind == "number" then return put_number(S, off, v) end
  if kind == "string" then return put_string(S, off, v) end
  if kind == "boolean" then
    if off + 1 > S.cap then grow(S, off + 1) end
    S.data[off] = v and 0xc3 or 0xc2
    return off + 1
  end
  if v == null then
    if off + 1 > S.cap then grow(S, off + 1) end
    S.data[off] = 0xc0
    return off + 1
  end
  if kind == "table" then return put_table(S, off, v, depth, at_path(path, key), keys) end
  return put_other(S, off, v, depth, path, key, keys)
end

ffi.cdef("void *memmove(void *, const void *, size_t);")

--- Writes an event (a table with string keys) at `off`. Raises a text that names the field.
---@return integer off behind the last byte
function M.event(S, off, t)
  if off + 5 > S.cap then grow(S, off + 5) end
  return put_map(S, off, t, 1, "")
end

--- Writes a state table: keys may be numbers too.
function M.state(S, off, t)
  if off + 5 > S.cap then grow(S, off + 5) end
  return put_map(S, off, t, 1, "", "any")
end

--- Writes any value an event may hold.
function M.value(S, off, v)
  return put_value(S, off, v, 0, "", "value", "any")
end

--- Writes a key in the canonical form of state/key.h: a nil, boolean, number or string; or, `list` being set, a list
-- of `n` of them.
---@return integer? off nil when the value cannot be a key
function M.key(S, off, v)
  local kind = type(v)
  if off + 9 > S.cap then grow(S, off + 9) end
  if kind == "number" then
    if v ~= v then return nil end
    if v == 0 then v = 0 end
    if v == floor(v) then
      if v <= 9007199254740992 and v >= -9007199254740992 then return put_integer(S.data, off, v + 0) end
      if v < 9223372036854775808 and v >= -9223372036854775808 then return put_int64(S, off, cast(int64, v)) end
      if v > 0 and v < 18446744073709551616 then return put_int64(S, off, cast(uint64, v)) end
    end
    return put_double(S.data, off, v)
  end
  if kind == "string" then return put_string(S, off, v) end
  if v == nil or v == null then
    S.data[off] = 0xc0
    return off + 1
  end
  if kind == "boolean" then
    S.data[off] = v and 0xc3 or 0xc2
    return off + 1
  end
  if istype(int64, v) or istype(uint64, v) then return put_int64(S, off, v) end
  return nil
end

function M.key_list(S, off, n)
  if off + 5 > S.cap then grow(S, off + 5) end
  return put_header(S.data, off, 0x90, n)
end

return M
