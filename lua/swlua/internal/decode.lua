--- msgpack to Lua values, in C: one call per batch, never one per event.
local f = require("swlua.internal.ffi")
local values = require("swlua.values")
local core, ffi = f.core, f.ffi

--- Integers beyond 2^53 become cdata; C cannot make those itself.
local function box(high, low, is_unsigned)
  local bits = ffi.cast("uint64_t", high) * 4294967296ULL + low
  return is_unsigned and bits or ffi.cast("int64_t", bits)
end

local M = {}

--- Fills events[i] for the i-th row of a batch where it is a table event; other rows leave it alone.
function M.batch(batch, events)
  return core.decode_batch(batch, events, values.null, values.array_metatable, box)
end

--- The value in `len` bytes.
function M.bytes(bytes, len)
  return core.decode_bytes(bytes, len, values.null, values.array_metatable, box)
end

return M
