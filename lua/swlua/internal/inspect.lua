--- Looking at state from outside the record path: for sw.test, and for who asks a running job.
local f = require("swlua.internal.ffi")
local pack = require("swlua.internal.pack")
local values = require("swlua.values")
local ffi, C, core = f.ffi, f.C, f.core

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

-- Inquiries ----------------------------------------------------------------------------------------------------------

local function version_of(x)
  local operator = x.component.operator
  return operator and operator.version or 0
end

--- An entry as a checkpoint would hold it: [version, changed_ms, state].
local function entry_bytes(x, entry)
  local S, anchor = f.scratch()
  local n = pack.key_list(S, 0, 3)
  n = pack.key(S, n, version_of(x))
  n = pack.key(S, n, tonumber(entry.changed_ms))
  if x.tables and entry.live == 0 then -- at rest
    local state = entry.bytes ~= nil and ffi.string(entry.bytes, entry.bytes_len) or "\128"
    return ffi.string(S.data, n) .. state
  end
  n = pack.state(S, n, x.read_state(entry))
  return ffi.string(S.data, n), anchor
end

local function put_entry(x, address)
  local entry = ffi.cast(f.entry_p, address)
  return core.inquiry_put_entry(x.task_pointer, x.keyed_anchor, address, (entry_bytes(x, entry)))
end

local function check_keyed(x)
  if not (x.keyed and x.component.keyed) then error({ sw_text = "it keeps no state by key" }, 0) end
end

local answers = {}

function answers.key(x, key)
  check_keyed(x)
  local address = core.keyed_find(x.keyed_anchor, key)
  if address then put_entry(x, address) end
end

--- Each page looks at every entry once: so a large store is given in few pages, a small one in short ones.
local PAGE_KEYS, PAGES = 1024, 16
local KEYS_MAX = 65536 -- what core.keyed_after gives at once

--- Returns whether there are more.
function answers.keys(x, key, limit)
  check_keyed(x)
  if limit == 0 then limit = math.max(PAGE_KEYS, math.ceil(tonumber(C.swffi_keyed_count(x.keyed)) / PAGES)) end
  local entries = core.keyed_after(x.keyed_anchor, key, limit)
  for i, address in ipairs(entries) do
    if put_entry(x, address) and i < #entries then return true end
  end
  return #entries == math.min(limit, KEYS_MAX)
end

local function put_part(x, kind, value)
  local S, anchor = f.scratch()
  local n = pack.value(S, 0, value)
  core.inquiry_put_part(x.task_pointer, kind, ffi.string(S.data, n))
  return anchor
end

function answers.instance(x)
  local operator, position = x.component.operator, x.owner.save_position
  if operator and operator.get_state then
    put_part(x, "instance", { version = version_of(x), state = operator.get_state(x.self) })
  end
  if position and x == x.owner.head then put_part(x, "source", position()) end
end

--- Answers what the task has been asked.
function M.answer(task)
  while true do
    local kind, index, key, limit = core.inquiry_next(task.pointer)
    if not kind then break end
    local x = task.by_index[index]
    task.T.at = x.at
    local ok, result = xpcall(answers[kind], x.trace, x, key, limit)
    core.inquiry_end(task.pointer, not ok and result.sw_text or nil, ok and result or false)
  end
  task.T.at = 0
end

return M
