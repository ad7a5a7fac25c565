--- `pairs` and `next` in a defined order: 1..#t, then other numbers, then strings bytewise.
-- LuaJIT's own order differs in every process, so what a job does by it would differ after a crash. The globals are
-- replaced once per state; they behave as ever while `state.on` is false, and are ordered while an operator that has
-- a state table runs, and always under --sim and sw.test. (This LuaJIT ignores __pairs on plain tables; a flag costs
-- one load a call.)
local values = require("swlua.values")
local records = require("swlua.internal.records")

local plain_pairs, type = pairs, type
local each_next = require("swlua.internal.each").next

local M = { state = { on = false } }
local state = M.state

--- The entry behind key `k` in order: sorts the keys each time, so a loop by `next` is quadratic; `pairs` is not.
local function ordered_next(t, k)
  local is_found = k == nil
  for key, value in values.pairs(t) do
    if is_found then return key, value end
    is_found = key == k
  end
  if not is_found then error("invalid key to 'next'", 2) end
  return nil
end

local function pairs_of_record(record)
  return each_next, records.to_table(record), nil
end

--- Replaces the globals `pairs` and `next`; doing it twice changes nothing.
function M.install()
  if _G.swlua_plain_pairs then return end
  rawset(_G, "swlua_plain_pairs", plain_pairs)
  _G.pairs = function(t)
    if state.on and type(t) == "table" then return values.pairs(t) end
    if type(t) == "cdata" and records.schema_of(t) then return pairs_of_record(t) end
    if type(t) == "table" then return each_next, t, nil end
    return plain_pairs(t)
  end
  _G.next = function(t, k)
    if state.on and type(t) == "table" then return ordered_next(t, k) end
    return each_next(t, k)
  end
end

return M
