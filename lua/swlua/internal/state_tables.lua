--- The live tables of a keyed operator: a bounded cache over the msgpack in the keyed store.
--
--     entry.live = slot ──► live[slot] (table), owner[slot] (entry)      beyond the bound the clock hand writes one
-- back
--
-- A table is live from its key's first event until it is evicted (second chance), emptied, or expired.
local f = require("swlua.internal.ffi")
local pack = require("swlua.internal.pack")
local decode = require("swlua.internal.decode")
local values = require("swlua.values")
local ffi, C = f.ffi, f.C
local next = require("swlua.internal.each").next

local CACHE_SLOTS = 65536

local M = {}

---@param keyed ffi.cdata* sw_keyed_instance
---@param x table context of the component; x.strict: validate a table after each call
function M.new(keyed, x)
  local live, used, hand = {}, 0, 0
  local owner, is_hot = nil, nil -- made with the first table
  local free, free_count = {}, 0
  local scratch, anchor = f.scratch()
  local cache = { anchor = anchor }

  --- Reports a table that cannot be saved.
  local function refuse(entry, problem)
    local key = decode.bytes(ffi.cast(f.bytes_p, entry) + f.ENTRY_SIZE, entry.key_len)
    x.fail(("state of key %s: %s"):format(values.str(key), problem), nil, tonumber(x.task.now_ms))
  end

  --- What cannot be saved is reported, and its key keeps what was saved before.
  local function write_back(slot)
    local entry = owner[slot]
    local ok, n = pcall(pack.state, scratch, 0, live[slot])
    if not ok then
      refuse(entry, n)
    elseif C.swffi_keyed_set_bytes(keyed, entry, scratch.data, n) ~= 0 then
      error("out of memory for keyed state", 0)
    end
    entry.live = 0
    live[slot] = false
  end

  --- Second chance: passes over tables used since the hand came by last.
  local function evict()
    while true do
      hand = hand % CACHE_SLOTS + 1
      if is_hot[hand] ~= 0 then
        is_hot[hand] = 0
      else
        write_back(hand)
        return hand
      end
    end
  end

  local function new_slot()
    if free_count > 0 then
      local slot = free[free_count]
      free_count = free_count - 1
      return slot
    end
    if used == CACHE_SLOTS then return evict() end
    used = used + 1
    return used
  end

  local function bring_in(entry)
    owner = owner or ffi.new("sw_entry *[?]", CACHE_SLOTS + 1)
    is_hot = is_hot or ffi.new("uint8_t[?]", CACHE_SLOTS + 1)
    local slot = new_slot()
    local t = entry.bytes ~= nil and decode.bytes(entry.bytes, entry.bytes_len) or {}
    live[slot], owner[slot], entry.live = t, entry, slot
    return t
  end

  local function release(slot)
    live[slot] = false
    free_count = free_count + 1
    free[free_count] = slot
  end

  --- Saves an entry's table for the checkpoint under way. What cannot be saved keeps what was saved before.
  function cache.save(entry)
    local ok, n = pcall(pack.state, scratch, 0, live[entry.live])
    if not ok then refuse(entry, n) end
    if C.swffi_keyed_save_live(keyed, entry, ok and scratch.data or nil, ok and n or 0) ~= 0 then
      error("out of memory for a checkpoint", 0)
    end
  end

  --- The table of an entry.
  function cache.take(entry)
    if entry.save_due ~= 0 then cache.save(entry) end
    local slot = entry.live
    if slot == 0 then return bring_in(entry) end
    is_hot[slot] = 1
    return live[slot]
  end

  --- After the call: a key whose table is empty goes.
  function cache.give_back(entry, t)
    if next(t) == nil then
      release(entry.live)
      C.swffi_keyed_remove(keyed, entry)
    elseif x.strict then
      local ok, problem = pcall(pack.state, scratch, 0, t)
      if not ok then refuse(entry, problem) end
    end
  end

  --- Forgets what an entry held: its ttl has passed.
  function cache.reset(entry)
    if entry.save_due ~= 0 then cache.save(entry) end
    if entry.live ~= 0 then
      release(entry.live)
      entry.live = 0
    end
    C.swffi_keyed_set_bytes(keyed, entry, nil, 0)
  end

  cache.release = release
  return cache
end

return M
