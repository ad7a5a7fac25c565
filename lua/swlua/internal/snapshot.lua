--- What a task saves at a barrier, and what its components get back at a restore.
--
--     barrier ──► begin: positions, get_state, prepare at once ──► slice, slice, ...: keyed entries and timers
--             ──► the coordinator
--
-- Between begin and the last slice events go on being processed: an entry that comes up is saved first, as it was at
-- the barrier (core/state/saving.h).
local f = require("swlua.internal.ffi")
local decode = require("swlua.internal.decode")
local errors = require("swlua.internal.errors")
local pack = require("swlua.internal.pack")
local ffi, core = f.ffi, f.core

local SLICE_ENTRIES = 512 -- saved between two batches: well under half a millisecond
local SLICE_TABLES = 64 -- live tables, which take longer

local M = {}

--- Bytes of any value an event may hold.
local function packed(value)
  local S, anchor = f.scratch()
  local n = pack.value(S, 0, value)
  local bytes = ffi.string(S.data, n)
  return bytes, anchor
end

local function unpacked(bytes)
  return (decode.bytes(ffi.cast(f.bytes_p, bytes), #bytes))
end

--- The version that a component's state has.
local function version_of(x)
  local operator = x.component.operator
  return operator and operator.version or 0
end

--- Ends the job: a checkpoint without this state would be none.
local function fail(x, call, err)
  local text = type(err) == "table" and (err.traceback or err.sw_text) or tostring(err)
  core.fail(x.task_pointer, 1, ("%s/%s#%d: %s: %s"):format(x.job, x.name, x.number, call, text))
  return errors.halt()
end

-- At a barrier -------------------------------------------------------------------------------------------------------

--- What get_state returns is saved with its version; nil too, so that it stands for what was saved before.
local function instance_bytes(x)
  x.task.at = x.at
  local ok, state = xpcall(x.component.operator.get_state, x.trace, x.self)
  if not ok then return fail(x, "get_state", state) end
  local fits, bytes = pcall(packed, { version = version_of(x), state = state })
  if not fits then return fail(x, "get_state", bytes) end
  return bytes
end

--- Where a source in Lua stands: what is saved of it as its position, or as its state. nil: it cannot say.
function M.position(task, x)
  if task.save_position then return (packed(task.save_position())) end
  local operator = x.component.operator
  return operator and operator.get_state and instance_bytes(x) or nil
end

--- The same for the checkpoint: before the oldest event that is not acknowledged.
local function saved_position(task, x)
  return core.acks_position(task.pointer) or M.position(task, x)
end

local function save_instance(task, x)
  local operator = x.component.operator
  if not (operator and operator.get_state) then return end
  local bytes = x.component.op == "source" and saved_position(task, x) or instance_bytes(x)
  core.snapshot_put(x.task_pointer, x.index, "instance", bytes)
end

--- What a sink in Lua prepares waits for its commit, in order.
local function prepare_sink(x, id)
  local operator = x.component.operator
  if not (x.component.kind == "sink" and operator and operator.prepare) then return end
  x.task.at = x.at
  local ok, value = xpcall(operator.prepare, x.trace, x.self, id)
  if not ok then return fail(x, "prepare", value) end
  local fits, bytes = pcall(packed, { value = value })
  if not fits then return fail(x, "prepare", bytes) end
  core.snapshot_put(x.task_pointer, x.index, "sink", bytes)
  x.prepared[#x.prepared + 1] = { id = id, value = value }
end

--- Is anybody taking checkpoints of this task? Then its answer to barrier `id` is begun.
---@param is_final boolean the task has ended
---@param is_ended boolean its input has ended by itself
function M.begin(task, id, is_final, is_ended)
  M.finish(task)
  local ok, is_taken = pcall(core.snapshot_begin, task.pointer, id, is_final, is_ended)
  if not ok then return fail(task.head, "checkpoint", is_taken) end
  if not is_taken then return end
  task.T.at = 0
  if task.save_position then
    core.snapshot_put(task.pointer, task.head.index, "source", saved_position(task, task.head))
  end
  task.saving = {}
  for _, x in ipairs(task.order) do
    save_instance(task, x)
    prepare_sink(x, id)
    if x.keyed then
      core.keyed_begin_save(x.keyed_anchor, x.component.keyed)
      task.saving[#task.saving + 1] = x
    end
  end
end

--- Saves live tables that C has met, until it goes on by itself. Returns what core.keyed_save_some says then.
local function save_tables(task, x, entry)
  local result = entry
  for _ = 1, SLICE_TABLES do
    if type(result) == "boolean" then return result end
    x.tables.save(ffi.cast(f.entry_p, result))
    result = core.keyed_save_some(task.pointer, x.keyed_anchor, 1)
  end
  return type(result) == "boolean" and result
end

--- Saves a few more entries; with the last one the answer goes to the coordinator.
function M.slice(task)
  local x = task.saving[#task.saving]
  if x then
    local result = core.keyed_save_some(task.pointer, x.keyed_anchor, SLICE_ENTRIES)
    if type(result) ~= "boolean" then result = save_tables(task, x, result) end
    if not result then return end
    task.saving[#task.saving] = nil
    if #task.saving > 0 then return end
  end
  task.saving = nil
  core.snapshot_end(task.pointer)
end

--- Saves all that is left of the answer under way.
function M.finish(task)
  while task.saving do M.slice(task) end
end

--- Has sinks in Lua commit what checkpoints up to `id` hold.
function M.commit(task, id)
  for _, x in ipairs(task.order) do
    while x.prepared and x.prepared[1] and x.prepared[1].id <= id do
      local first = table.remove(x.prepared, 1)
      x.task.at = x.at
      local ok, err = xpcall(x.component.operator.commit, x.trace, x.self, first.id, first.value)
      if not ok then return fail(x, "commit", err) end
    end
  end
  core.committed(task.pointer, id)
end

-- At a restore -------------------------------------------------------------------------------------------------------

--- A saved instance state, in the version of the code.
local function upgraded(x, saved)
  local version = version_of(x)
  if saved.version == version then return saved.state end
  return x.component.operator.upgrade(saved.state, saved.version)
end

--- The states of the instances there were, for those there are now.
local function rescaled(x, states, count_then)
  if count_then == x.about.count then return states end
  local rescale = x.component.operator.rescale
  if not rescale then return {} end
  local list = {}
  for i = 1, count_then do list[i] = states[i] end
  return rescale(list, x.about.count)
end

--- The state that setup_instance gets: nil where nothing was saved.
function M.instance_state(x)
  local parts, count_then = core.restored_parts(x.task_pointer, x.name, "instance")
  if not parts or #parts == 0 then return nil end
  local states = {}
  for _, part in ipairs(parts) do states[part[1] + 1] = upgraded(x, unpacked(part[2])) end
  return rescaled(x, states, count_then)[x.number + 1]
end

--- Positions of a source in Lua at the restored checkpoint, by instance from 0, and how many instances there were.
function M.positions(x)
  local parts, count_then = core.restored_parts(x.task_pointer, x.name, "source")
  if not parts or #parts == 0 then return nil end
  local positions = {}
  for _, part in ipairs(parts) do positions[part[1]] = unpacked(part[2]) end
  return positions, count_then
end

--- Commits again what sinks in Lua had prepared: whether it was committed before the crash, nobody knows.
function M.recommit(x)
  local operator = x.component.operator
  if not (x.component.kind == "sink" and operator and operator.commit) then return end
  x.prepared = {}
  core.set_commits(x.task_pointer)
  local parts = core.restored_parts(x.task_pointer, x.name, "sink")
  for _, part in ipairs(parts or {}) do
    if part[1] % x.about.count == x.number then
      local ok, err = xpcall(operator.commit, x.trace, x.self, part[3], unpacked(part[2]).value)
      if not ok then error({ text = ("%s/%s#%d: commit: %s"):format(x.job, x.name, x.number, err.sw_text) }, 0) end
    end
  end
end

--- A function that makes a saved entry ([version, changed_ms, state]) one of the code's version.
local function entry_upgrader(x)
  local upgrade, version = x.component.operator.upgrade, version_of(x)
  return function(bytes)
    local saved = unpacked(bytes)
    local state = saved[1] == version and saved[3] or upgrade(saved[3], saved[1])
    local S, anchor = f.scratch()
    local n = pack.key_list(S, 0, 3)
    n = pack.key(S, n, version)
    n = pack.key(S, n, saved[2])
    n = pack.state(S, n, state)
    local value = ffi.string(S.data, n)
    return value, anchor
  end
end

--- Tracks the keyed state and timers of a component, and fills them from the restored checkpoint.
function M.keyed(x)
  local has_keys = x.component.keyed and true or false
  if not x.has_checkpoints then return end
  core.keyed_track(x.keyed_anchor, x.index, version_of(x), has_keys, x.number)
  local version_then = core.restored_version(x.task_pointer, x.name)
  if not version_then then return end
  local upgrade = version_then ~= version_of(x) and entry_upgrader(x) or nil
  core.keyed_restore(x.task_pointer, x.keyed_anchor, x.name, has_keys, upgrade)
end

-- What a restored job must be ----------------------------------------------------------------------------------------

local function version_problem(component, saved)
  local operator = component.operator
  local version = operator and operator.version or 0
  if saved.version > version then
    return ("its saved state has version %d, newer than the code's %d"):format(saved.version, version)
  elseif saved.version < version and not (operator and operator.upgrade) then
    return ("its saved state has version %d, the code's is %d, and it has no upgrade"):format(saved.version, version)
  end
end

local function parallelism_problem(component, saved, parallelism)
  local operator = component.operator
  if saved.parallelism == parallelism or not (operator and operator.get_state) or operator.rescale then return end
  return ("its instances' state was saved by %d, and there are %d now: it needs a rescale function"):format(
    saved.parallelism, parallelism)
end

--- What becomes of a component that the checkpoint knows: a word for it, and a text that says more.
local function fate(component, saved, parallelism, is_dropped)
  if component == nil then
    if not saved.has_state then return "dropped", "it is no longer in the job" end
    if is_dropped then return "dropped", "it is no longer in the job, and its state goes" end
    return "refused", ("it is no longer in the job; its state would be lost (--drop-state %s drops it)"):format(
      saved.name)
  end
  local scaled = saved.parallelism ~= parallelism and ("%d instances then, %d now"):format(saved.parallelism,
    parallelism) or nil
  if not saved.has_state then return "kept", scaled end
  if is_dropped then return "refused", "it is still in the job: give it another name to start without its state" end
  local version = component.operator and component.operator.version or 0
  local problem = version_problem(component, saved) or parallelism_problem(component, saved, parallelism)
  if problem then return "refused", problem end
  if saved.version == version then return "kept", scaled end
  return "upgraded", ("from version %d to %d"):format(saved.version, version) .. (scaled and ", " .. scaled or "")
end

--- Compares a job with the components of a checkpoint: what going on from it means for each, those of the checkpoint
-- first.
---@param job swlua.Job
---@param saved { name: string, parallelism: integer, version: integer, has_state: boolean }[]
---@param parallelism table<string, integer> instances of each component now
---@param dropped table<string, boolean> whose saved state is to be dropped
---@return { name: string, fate: "kept"|"upgraded"|"new"|"dropped"|"refused", text: string? }[]
function M.compare(job, saved, parallelism, dropped)
  local rows, before = {}, {}
  for i, one in ipairs(saved) do
    before[one.name] = true
    local what, text = fate(job._by_name[one.name], one, parallelism[one.name], dropped[one.name])
    rows[i] = { name = one.name, fate = what, text = text }
  end
  for _, component in ipairs(job.components) do
    if not before[component.name] then
      rows[#rows + 1] = { name = component.name, fate = "new", text = "it starts without state" }
    end
  end
  return rows
end

return M
