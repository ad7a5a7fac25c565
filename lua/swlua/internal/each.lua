--- Iterating tables in code that the JIT may compile.
-- LuaJIT 2.1 (2022) compiles loops over the built-in `next` with a hidden index in place of the key, and now and then
-- restores that index as a number where a side trace is left: a loop then sees a key that never was. Behind a Lua
-- function the same loop goes by the key, and is right. Jobs get such a `pairs` and `next` too (internal/order.lua).
local next = next

local M = {}

--- `next`, but not the built-in function.
function M.next(t, k)
  local key, value = next(t, k)
  return key, value
end

--- What the global `pairs` does.
function M.pairs(t)
  return M.next, t, nil
end

return M
