--- Acknowledging (core/run/ack.h) as sources see it: their events are numbered, kept, and replayed.
--
--     get_events | connector ──► given ──► stages          failed, timed out ──► replay ──► the same stages
local f = require("swlua.internal.ffi")
local decode = require("swlua.internal.decode")
local records = require("swlua.internal.records")
local snapshot = require("swlua.internal.snapshot")
local values = require("swlua.values")

local ffi, C, core = f.ffi, f.C, f.core

local REPLAYED_MAX = 256 -- events given once more before others get their turn

local M = {}

--- What a source needs where its events are acknowledged. `views`: of the schemas that rows may name.
function M.prepare(task, x, views)
  x.outputs, task.replay_to, task.replay_views = {}, {}, views
  local operator = x.component.operator
  if not task.has_acks or not operator or not (operator.ack or operator.fail) then return end
  task.notice = ffi.new("sw_ack_notice")
  core.acks_notices(task.pointer)
end

--- Where output `name` of a source goes; nil when nobody reads it. Where events are acknowledged it is numbered, so
-- that those kept find it again.
function M.output(task, x, name, pass)
  pass = pass or x.consumers(name)
  if not task.has_acks or not pass then return pass end
  local output = #task.replay_to + 1
  task.replay_to[output] = pass
  x.outputs[name] = output
  return pass
end

--- The same for a source in Lua.
function M.given_output(task, x, name)
  local pass = M.output(task, x, name)
  if not task.has_acks or not pass then return pass end
  local schema = name ~= "malformed" and x.component.schema
  local to_row = schema and task.record_row_maker(records.of(schema)) or task.to_row
  return x.stages.given(x, to_row, x.outputs[name], pass)
end

--- Gives events that have failed or timed out once more: those that wait now, up to a batch.
local function replay(task, after_batch)
  local T, views = task.T, task.replay_views
  local count = math.min(REPLAYED_MAX, tonumber(C.swffi_acks_due(T)))
  if count == 0 then return end
  local instance, malformed = task.head.instance, task.head.outputs.malformed
  for _ = 1, count do
    local row = C.swffi_acks_open_replay(T)
    local event
    if row.schema == 0 then event = decode.bytes(ffi.cast(f.bytes_p, row) + f.ROW_SIZE, row.body_len)
    else event = values.copy(views[row.schema](ffi.cast(f.row_p, row))) end
    T.stamp = row.stamp
    if row.reserved ~= malformed then instance.n_out = instance.n_out + 1 end
    task.replay_to[row.reserved](event, tonumber(row.time))
    C.swffi_acks_close(T)
  end
  after_batch(task, count)
end

--- Tells a source of the user's what became of its events.
local function tell(task, x)
  local T, notice = task.T, task.notice
  while C.swffi_acks_next_notice(T, notice) ~= 0 do
    local fn = notice.is_acked ~= 0 and x.self.ack or notice.is_acked == 0 and x.self.fail
    if fn then
      T.at = x.at
      local ok, problem = xpcall(fn, x.trace, x.self, notice.id)
      if not ok then x.fail(problem, nil, tonumber(T.now_ms)) end
    end
  end
end

--- Does what acknowledgements, failures and timeouts ask of a source. Between events.
function M.follow(task, after_batch)
  replay(task, after_batch)
  if task.notice then tell(task, task.head) end
end

--- Notes where a source in Lua stands, should what it gives next be pending at a checkpoint.
function M.mark(task, x)
  if not task.has_acks or not x.has_checkpoints then return end
  local position = snapshot.position(task, x)
  if position then core.acks_mark(task.pointer, position) end
end

return M
