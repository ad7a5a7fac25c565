--- Iterating tables in code that the JIT may compile.
-- LuaJIT 2.1 (2022) compiles loops over the built-in `next` with a hidden index in place of the key, and now and then
-- restores that index as a number where a side trace is left: a loop then sees a key that never was. Behind a Lua
-- function the same loop goes by the key, and is right. Jobs get such a `pairs` and `next` too (internal/order.lua).
--
-- Where the end of a table is compiled, it may also swap the two registers of `next`'s result by a 32-bit exchange,
-- which cuts a pointer in half. It does so only when other values are in those registers just behind; a call of a C
-- function there keeps them free.
local ffi = require("ffi")
local next = next

ffi.cdef("int abs(int);")
local C = ffi.C

local M = {}

--- `next`, but not the built-in function.
function M.next(t, k)
  local key, value = next(t, k)
  if key == nil then C.abs(0) end
  return key, value
end

--- What the global `pairs` does.
function M.pairs(t)
  return M.next, t, nil
end

return M
