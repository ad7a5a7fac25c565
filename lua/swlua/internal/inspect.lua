--- Looking at keyed state from outside the record path.
local f = require("swlua.internal.ffi")
local pack = require("swlua.internal.pack")
local values = require("swlua.values")
local ffi, core = f.ffi, f.core

local M = {}

local function key_bytes(key)
  local S, anchor = f.scratch()
  local n
  if type(key) == "table" then
    n = pack.key_list(S, 0, #key)
    for i = 1, #key do n = pack.key(S, n, key[i]) end
  else
    n = pack.key(S, 0, key)
  end
  return ffi.string(S.data, n), anchor -- The anchor keeps S alive until here.
end

--- A copy of the state of one key; nil when it has none.
function M.keyed_state(x, key)
  if not (x.keyed and x.component.keyed) then return nil end
  local wanted = key_bytes(key)
  local address = core.keyed_find(x.keyed_anchor, wanted)
  if not address then return nil end
  return values.copy(x.read_state(ffi.cast(f.entry_p, address)))
end

return M
