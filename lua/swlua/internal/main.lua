--- The body of a task's coroutine: reads batches, keeps watermarks and timers, answers control items, ends.
--
--     yields one of RAN, WAIT_INPUT, WAIT_ROOM (inside a port), WAIT_TIME, FAILED; returning means done
--
-- Watermarks: T.wm[domain] is what ports send, so it is raised only after the timers due by it have fired: what they
-- emit belongs before it. Stages fire in the order of the chain, so what one emits reaches the next before that one's
-- own timers.
local f = require("swlua.internal.ffi")
local acks = require("swlua.internal.acks")
local check = require("swlua.check")
local decode = require("swlua.internal.decode")
local errors = require("swlua.internal.errors")
local graph = require("swlua.internal.graph")
local idle = require("swlua.internal.idle")
local inspect = require("swlua.internal.inspect")
local records = require("swlua.internal.records")
local snapshot = require("swlua.internal.snapshot")
local text = require("swlua.internal.text")
local values = require("swlua.values")

local ffi, C, core = f.ffi, f.C, f.core
local yield = coroutine.yield
local RAN, WAIT_INPUT, WAIT_TIME, DONE, FAILED = f.RAN, f.WAIT_INPUT, f.WAIT_TIME, f.DONE, f.FAILED
local TIME_MAX = f.TIME_MAX
local FAR = 9007199254740992 -- stands for a watermark beyond all times where a Lua number is kept
local IDLE_MS = 10
local function no_effect() end
local TTL_STEPS = 64 -- entries looked at for expiry after each batch

local M = {}

--- A task's clock as a Lua number, read whenever the task goes on after a pause. In memory of its own type, the JIT
-- finds it unchanged by what an event does.
ffi.cdef("typedef struct sw_clock { double now; } sw_clock;")

-- Timers and watermarks ---------------------------------------------------------------------------------------------

--- Fires a component's timers that are due by `limit`; those set meanwhile (`seq` on) are dropped when the input has
-- ended, but for those of windows, which end by themselves. What timers emit descends from no event.
local function fire_timers(x, which, limit, seq)
  local keyed, instance = x.keyed, x.instance
  if x.is_windowed then seq = nil end
  if x.has_acks then C.swffi_acks_open_none(x.task) end
  while C.swffi_timer_pop(keyed, which, limit) == 0 do
    if seq and keyed.timer_seq >= seq then
      instance.dropped = instance.dropped + 1
    else
      x.call_timer()
    end
  end
  if x.has_acks then C.swffi_acks_close(x.task) end
end

--- Timers set while those of the last watermark fire would go on for ever.
local function last_seq(x, wm)
  return wm == TIME_MAX and C.swffi_timer_seq(x.keyed, 0) or nil
end

local function next_due(task, domain)
  local due = FAR
  for _, x in ipairs(task.timed) do
    if x.domain == domain then due = math.min(due, tonumber(C.swffi_timer_next(x.keyed, 0))) end
  end
  task.due[domain] = due
end

--- Raises the watermark of a domain to `wm` (int64 or number): fires what is due, then lets the ports send it.
local function advance(task, domain, wm)
  local T = task.T
  if wm <= T.wm[domain] then return end
  if wm >= task.due[domain] then
    for _, x in ipairs(task.timed) do
      if x.domain == domain then
        x.firing = wm
        fire_timers(x, 0, wm, last_seq(x, wm))
        x.firing = nil
      end
    end
    next_due(task, domain)
  end
  T.wm[domain] = wm
end

--- No event raises a watermark any more, though some may come once more: sources that wait for acknowledgements at
-- their end say so, lest what is to be acknowledged waits for the watermark.
local function advance_last(task)
  for domain = 0, task.domains do advance(task, domain, TIME_MAX) end
end

--- The watermark of a task's input has risen.
local function advance_input(task, wm)
  if wm == TIME_MAX then return advance_last(task) end
  advance(task, 0, wm)
end

--- Lets operators that gather their events catch up.
local function drain(task)
  for _, x in ipairs(task.order) do
    if x.drain then x.drain() end
  end
end

--- Sends what stages have collected (stages.lua).
local function flush_collected(task)
  for _, flush in ipairs(task.collectors) do flush() end
end

--- When the first processing timer is due.
local function processing_due(task)
  local due = TIME_MAX
  for _, x in ipairs(task.timed) do
    local mine = C.swffi_timer_next(x.keyed, 1)
    if mine < due then due = mine end
  end
  return due
end

local function fire_processing_timers(task)
  local T = task.T
  if T.timer_ms > T.now_ms then return end
  for _, x in ipairs(task.timed) do fire_timers(x, 1, T.now_ms) end
  drain(task) -- What they have emitted is not to wait for a next batch.
  flush_collected(task)
  T.timer_ms = processing_due(task)
end

--- Timers set just now may be due already by a watermark that stands.
local function fire_overdue(task)
  for domain = 0, task.domains do
    local wm = task.T.wm[domain]
    if task.due[domain] <= wm then
      for _, x in ipairs(task.timed) do
        if x.domain == domain then fire_timers(x, 0, wm, last_seq(x, wm)) end
      end
      next_due(task, domain)
    end
  end
end

local function expire(task)
  local wm = task.T.wm[0]
  if wm == f.TIME_MIN then return end
  for _, x in ipairs(task.expiring) do
    local count = C.swffi_keyed_expire(x.keyed, wm - x.component.options.ttl_ms, TTL_STEPS)
    if x.tables then
      for i = 0, tonumber(count) - 1 do
        local slot = x.keyed.expired_live[i]
        if slot ~= 0 then x.tables.release(slot) end
      end
    end
  end
end

--- Traces are recorded within the first hundred events, when every key is new and nothing is typical: they are thrown
-- away a few times, so that what stays was recorded from the usual course of things.
local RERECORD = { [64] = true, [1024] = true, [16384] = true } -- at these batches

local function after_batch(task, events)
  local batches = task.batches + 1
  task.batches = batches
  if batches <= 16384 and RERECORD[batches] then jit.flush() end
  if task.sample then task.sample.count(events) end
  drain(task)
  flush_collected(task)
  if #task.timed > 0 then fire_overdue(task) end
  if #task.expiring > 0 then expire(task) end
  if task.saving then snapshot.slice(task) end
  records.clear_overflow()
end

--- Waits as `step` says; while a snapshot is being saved there is always something to do.
local function wait(task, step)
  if not task.saving then return yield(step) end
  snapshot.slice(task)
  return yield(RAN)
end

--- Commits what is to be committed by the task itself.
local function follow_commits(task)
  local T = task.T
  local id = T.committed
  if id ~= T.committed_seen then snapshot.commit(task, id) end
end

--- What is to be done between two events.
local function attend(task)
  follow_commits(task)
  if task.T.asked ~= 0 then inspect.answer(task) end
end

-- Ending and control items
-- ---------------------------------------------------------------------------------------------

local function close_component(x)
  local close = x.self and x.self.close
  if not close then return end
  x.task.at = x.at
  local ok, err = xpcall(close, x.trace, x.self)
  if not ok then x.fail(err, nil, tonumber(x.task.now_ms)) end
end

--- Sends a control item behind everything that was emitted.
local function send(task, kind, id)
  while C.swffi_task_send(task.T, kind, id) == f.FULL do yield(f.WAIT_ROOM) end
end

--- Sinks in Lua commit what the job's last checkpoint holds before they close.
local function await_last_commit(task)
  local T = task.T
  while T.is_released == 0 do
    yield(f.WAIT_COMMIT)
    follow_commits(task)
  end
  follow_commits(task)
  for _, x in ipairs(task.order) do
    if x.prepared then close_component(x) end
  end
end

--- All input has been read: timers fire, components close, downstream hears of it.
local function finish(task)
  local T = task.T
  for _, x in ipairs(task.order) do
    if x.drain then x.drain() end
    if x.call_timer then
      x.firing = FAR
      fire_timers(x, 0, TIME_MAX, C.swffi_timer_seq(x.keyed, 0))
      fire_timers(x, 1, TIME_MAX, C.swffi_timer_seq(x.keyed, 1))
      x.firing = nil
    end
    if not x.prepared then close_component(x) end
  end
  flush_collected(task)
  snapshot.begin(task, T.control_seen + 1, true, T.is_stopping == 0)
  snapshot.finish(task)
  if C.swffi_task_close_sinks(T) ~= 0 then
    core.fail(task.pointer, 1, ("%s: %s"):format(task.who, errors.task_error(T)))
    return errors.halt()
  end
  for domain = 0, task.domains do T.wm[domain] = TIME_MAX end
  send(task, f.END, 0)
  if task.has_commits then await_last_commit(task) end
end

--- A barrier has come by all inputs, or is to be sent by a source.
local function act_on_control(task, id)
  task.T.control_seen = id -- The final answer's id is greater.
  drain(task)
  flush_collected(task)
  snapshot.begin(task, id, false, false)
  send(task, f.CONTROL, id)
  C.swffi_task_answer(task.T, id)
end

-- Tasks that read channels
-- ------------------------------------------------------------------------------------------------

--- Views of the schemas that rows may name, found when first met.
local function schema_views()
  return setmetatable({}, { __index = function(views, id)
    views[id] = records.by_id(id).view
    return views[id]
  end })
end

local function input_handlers(task)
  local handlers, T = {}, task.T
  local inputs_total = #task.inputs
  local function on_watermark(wm, input)
    input.wm = wm
    if inputs_total > 1 then wm = C.swffi_task_input_watermark(T) end
    advance_input(task, wm)
  end
  local function on_control(row, input)
    if row.kind == f.WATERMARK then
      if row.wm > input.wm then on_watermark(row.wm, input) end
    elseif row.kind == f.END then
      if C.swffi_task_on_end(T, input) ~= 0 then
        task.is_ended = true
      else
        advance_input(task, C.swffi_task_input_watermark(T))
        local due = C.swffi_task_control_due(T)
        if due ~= 0 then act_on_control(task, due) end
      end
    elseif row.kind == f.IDLE then
      input.idle = tonumber(ffi.cast("uint64_t *", row + 1)[0])
      local now = C.swffi_task_input_idle(T)
      if now ~= T.idle then
        T.idle = now
        send(task, f.IDLE, now)
      end
      advance_input(task, C.swffi_task_input_watermark(T))
    elseif row.kind == f.CONTROL then
      local id = ffi.cast("uint64_t *", row + 1)[0]
      if C.swffi_task_on_control(T, input, tonumber(id)) ~= 0 then act_on_control(task, tonumber(id)) end
    end
  end
  for i, edge in ipairs(task.edges) do
    local handle = task.head.row_entries[i]
    if edge.to == task.head.index and handle then
      local stages = core.chunk("swlua.internal.stages")()
      local loop = task.has_acks and stages.input_loop_acked or stages.input_loop
      handlers[i - 1] = loop(T, handle, schema_views(), on_watermark, on_control)
    end
  end
  return handlers
end

--- Edges whose rows nobody decodes here: they are records, or go to a sink in C.
local function edges_not_decoded(task)
  local found = {}
  for i, edge in ipairs(task.edges) do
    local has_schema = task.job.components[edge.from + 1].schema ~= nil
    local is_of_schema = has_schema and graph.has_rows(task.job.components[edge.from + 1], edge.output)
    found[i - 1] = is_of_schema or task.head.takes_rows ~= nil
  end
  return found
end

local function channel_body(task)
  local T, events, handlers = task.T, {}, input_handlers(task)
  local is_raw = edges_not_decoded(task)
  local prefetch = task.head.keyed and task.head.component.keyed and task.head.keyed
  while not task.is_ended do
    fire_processing_timers(task)
    attend(task)
    local input = C.swffi_task_next(T)
    if input == nil then
      wait(task, WAIT_INPUT)
    else
      local batch = input.batch
      if not is_raw[input.edge] then decode.batch(batch, events) end
      if prefetch then C.swffi_keyed_prefetch(prefetch, batch) end
      local count = batch.count
      handlers[input.edge](batch, input, events)
      C.swffi_task_release(T, input)
      after_batch(task, count)
      yield(RAN)
    end
  end
end

-- Sources
-- ------------------------------------------------------------------------------------------------------------------

local function valid_time(time)
  return type(time) == "number" and time == time and time > -FAR and time < FAR
end

--- What gives an event's time: function(event) -> ms, or nil and why not. nil without a `time` option.
local function time_function(x)
  local time = x.component.time
  if time == nil then return nil end
  local what = type(time) == "string" and ("field '%s'"):format(time) or "the time function's result"
  local ahead = x.component.options.max_ahead_ms
  return function(event)
    local ms
    if type(time) == "string" then
      ms = event[time]
    else
      local ok, result = xpcall(time, x.trace, event)
      if not ok then return nil, result.sw_text end
      ms = result
    end
    if not valid_time(ms) then return nil, ("%s: expected a time in epoch ms, got %s"):format(what, check.show(ms)) end
    if ahead and ms > tonumber(x.task.now_ms) + ahead then
      return nil, ("%s: %d is more than %d ms ahead of the clock"):format(what, ms, ahead)
    end
    return math.floor(ms)
  end
end

--- Counts malformed input, logs it (a few a second), and sends it to the output "malformed".
local function malformed_handler(task, x, pass)
  local limiter = { second = -1, count = 0 }
  return function(event, time)
    local instance = x.instance
    instance.malformed = instance.malformed + 1
    local second = math.floor(tonumber(x.task.now_ms) / 1000)
    if second ~= limiter.second then limiter.second, limiter.count = second, 0 end
    limiter.count = limiter.count + 1
    if limiter.count <= 5 then
      local who = ("%s/%s#%d"):format(x.job, x.name, x.number)
      core.log("warn", who, ("malformed input at %s: %s"):format(event.where, event.error))
    end
    if pass then
      event.raw, event.error = text.utf8(event.raw), text.utf8(event.error) -- It is read as JSON more often than not.
      return pass(event, time or tonumber(task.T.now_ms))
    end
  end
end

local function raw_text(event)
  local ok, raw = pcall(values.str, event)
  return ok and raw or tostring(event)
end

--- An event without a usable time, from a source in Lua or an event_time.
local function reject(x, pass, event, problem)
  local handle = x.on_malformed or malformed_handler(x.owner, x, pass)
  x.on_malformed = handle
  return handle({ raw = raw_text(event), error = problem, where = x.name }, nil)
end

local DAY_MS = 86400000

--- May the input go on for ever? Then a time far ahead of the clock would move the watermark past all that is to come.
local function is_unbounded(component)
  local connector = component.connector
  return connector and (connector.type == "stdin" or (connector.type == "log" and connector.options.follow ~= false))
end

local function connector_options(x)
  local options = x.component.options
  local schema = x.component.schema
  return {
    component = x.name, schema = schema and records.of(schema).id or 0,
    time_field = type(x.component.time) == "string" and x.component.time or nil,
    max_ahead = options.max_ahead_ms or (x.component.time and is_unbounded(x.component) and DAY_MS) or 0,
    journal = options.journal,
  }
end

--- Events with a time that a function gives get it before they are passed on.
--
-- Events that are acknowledged and have such a function come by here when they are replayed, too.
local function timed_pass(task, x, pass)
  local time_of = type(x.component.time) == "function" and time_function(x)
  if not time_of then return pass end
  local T = task.T
  local malformed = x.consumers("malformed")
  return function(event)
    local time, problem = time_of(event)
    if time == nil then
      x.instance.n_out = x.instance.n_out - 1
      return reject(x, malformed, event, problem)
    end
    pass(event, time)
    C.swffi_task_saw_time(T, time)
    advance(task, 0, C.swffi_task_source_watermark(T))
  end
end

local function connector_body(task, x)
  local T, connector = task.T, x.component.connector
  local ok, problem = pcall(core.open_source, task.pointer, connector.type, connector.options, connector_options(x))
  if not ok then error({ text = ("%s: %s"):format(task.who, problem) }, 0) end
  local schema = x.component.schema and records.of(x.component.schema)
  local pass = timed_pass(task, x, x.consumers("default") or x.stages.unread(x))
  acks.output(task, x, "default", pass)
  local malformed = x.consumers("malformed") or task.has_acks and no_effect
  local on_malformed = malformed_handler(task, x, acks.output(task, x, "malformed", malformed))
  local function on_watermark(wm) advance(task, 0, wm) end
  local has_time_function = type(x.component.time) == "function"
  local make_loop = task.has_acks and x.stages.source_loop_acked or x.stages.source_loop
  local loop = make_loop(x, schema and schema.view, on_watermark, on_malformed, pass, x.outputs)
  local events = {}
  return function()
    local step = C.swffi_task_fill(T)
    if T.rows.count > 0 then
      task.watch.given()
      decode.batch(T.rows, events)
      loop(T.rows, events)
      if not has_time_function then advance(task, 0, C.swffi_task_source_watermark(T)) end
      after_batch(task, T.rows.count)
    end
    if step == FAILED then
      core.fail(task.pointer, 1, ("%s: %s"):format(task.who, errors.task_error(T)))
      return errors.halt()
    end
    return step
  end
end

local function saw_time_function(task)
  local T, seen = task.T, -math.huge
  return function(time)
    if time <= seen then return end
    seen = time
    C.swffi_task_saw_time(T, time)
    advance(task, 0, C.swffi_task_source_watermark(T))
  end
end

--- The time of an event of a source in Lua: what it was emitted with, else the `time` option, else the clock.
local function source_time(task, x)
  local time_of, clock = time_function(x), task.clock
  return function(event, time)
    if time ~= nil then
      if not valid_time(time) then return nil, ("expected a time in epoch ms, got %s"):format(check.show(time)) end
      return time
    end
    if time_of then return time_of(event) end
    return clock.now
  end
end

--- Which event a generator makes next: instance i of n makes i + 1, i + 1 + n, ... Where the number of instances has
-- changed since the checkpoint, what those before had made is left out (`made`: one entry a number of instances there
-- was).
local function generator_position(task, x, count)
  local position = { next = task.number + 1, step = task.count, last = count or FAR, made = {} }
  local then_at, count_then = snapshot.positions(x)
  if then_at then
    position.made = then_at[0].made
    if count_then == task.count then
      position.next = then_at[task.number].next
    else
      local nexts = {}
      for i = 0, count_then - 1 do nexts[i + 1] = then_at[i].next end
      position.made[#position.made + 1] = nexts
    end
  end
  position.is_made = #position.made > 0 and function(i)
    for _, nexts in ipairs(position.made) do
      if i < nexts[(i - 1) % #nexts + 1] then return true end
    end
    return false
  end or nil
  task.save_position = function() return { next = position.next, made = position.made } end
  return position
end

local function generator_body(task, x)
  local T, connector = task.T, x.component.connector
  local pass = acks.given_output(task, x, "default") or x.stages.unread(x)
  local position = generator_position(task, x, connector.options.count)
  local time_of, saw_time = source_time(task, x), saw_time_function(task)
  local malformed = acks.given_output(task, x, "malformed")
  local function checked_time(event, time)
    local ms, problem = time_of(event, time)
    if ms == nil then reject(x, malformed, event, problem) end
    return ms
  end
  local function reject_event(event, problem)
    if type(event) ~= "table" then return x.fail(problem, nil, tonumber(T.now_ms)) end
    reject(x, malformed, event, problem)
  end
  local loop = x.stages.generator_loop(x, connector.fn, position, x.encoder("the generator returned"), reject_event,
    checked_time, saw_time, pass)
  return function()
    local credit = C.swffi_task_credit(T)
    if credit == 0 then return WAIT_TIME end
    T.stamp = C.swffi_stamp(T)
    task.read_clock()
    acks.mark(task, x)
    local is_ended = loop(credit)
    after_batch(task, credit)
    return is_ended and DONE or RAN
  end
end

--- A source that is a table of functions.
local function custom_body(task, x)
  local T = task.T
  local encode, pass = x.encoder("emit got"), acks.given_output(task, x, "default") or x.stages.unread(x)
  local time_of, saw_time = source_time(task, x), saw_time_function(task)
  local malformed = acks.given_output(task, x, "malformed")
  local instance, made, max_delay = x.instance, 0, x.component.options.max_delay_ms or 0
  local function give(to, event, time)
    local fits, encoded = pcall(encode, event)
    if not fits then
      if type(event) ~= "table" then error(encoded, 0) end
      return reject(x, malformed, event, encoded)
    end
    local ms, problem = time_of(encoded, time)
    if ms == nil then return reject(x, malformed, event, problem) end
    instance.n_out = instance.n_out + 1
    made = made + 1
    if T.idle ~= idle.NO then task.watch.given() end
    local id = to(encoded, ms)
    saw_time(ms)
    T.at = x.at
    return id
  end
  local named = {}
  local out = {
    emit = function(_, event, time) return give(pass, event, time) end,
    emit_to = function(_, name, event, time)
      if named[name] == nil then named[name] = acks.given_output(task, x, name) or x.stages.unread(x) end
      return give(named[name], event, time)
    end,
    watermark = function(_, time) -- promises that no event before `time` will come
      C.swffi_task_saw_time(T, time + max_delay)
      advance(task, 0, C.swffi_task_source_watermark(T))
    end,
    now = function() return tonumber(C.swffi_now_ms(T)) end,
  }
  return function()
    local credit = C.swffi_task_credit(T)
    if credit == 0 then return WAIT_TIME end
    T.stamp = C.swffi_stamp(T)
    task.read_clock()
    T.at, made = x.at, 0
    acks.mark(task, x)
    local ok, result = xpcall(x.component.operator.get_events, x.trace, x.self, out)
    C.swffi_task_give_credit(T, credit - made)
    if not ok then x.fail(result, nil, tonumber(T.now_ms)) end
    after_batch(task, made)
    if result == "done" then return DONE end
    if result ~= "idle" and result ~= "wait" then return RAN end
    T.wake_ms = result == "idle" and T.now_ms + IDLE_MS or TIME_MAX -- "wait": until woken: sources of sw.test
    T.is_starved = (result == "idle" or x.component.options.idle_ms) and made == 0 and 1 or 0
    if made > 0 then task.watch.given() end
    return WAIT_TIME
  end
end

--- The job is being stopped: nothing more is given, so that the checkpoint holds all there is.
local function pause(task)
  local T = task.T
  while T.is_stopping == 0 do
    attend(task)
    T.wake_ms = TIME_MAX
    wait(task, WAIT_TIME)
  end
end

--- Does what others want of a source before it reads on.
local function follow_orders(task)
  local T = task.T
  if T.control ~= T.control_seen then
    T.control_seen = T.control
    act_on_control(task, T.control_seen)
    if T.pause_at == T.control_seen then pause(task) end
  end
  fire_processing_timers(task)
  attend(task)
  if task.has_acks then acks.follow(task, after_batch) end
end

--- The input has ended: what is pending is waited for, and replayed where it must be.
local function await_acks(task)
  local T = task.T
  core.acks_end(task.pointer)
  advance_last(task)
  after_batch(task, 0)
  while C.swffi_acks_pending(T) > 0 do
    wait(task, f.WAIT_ACKS)
    follow_orders(task)
  end
  acks.follow(task, after_batch)
end

local function source_body(task)
  local x = task.head
  local T, options = task.T, x.component.options
  local connector = x.component.connector
  local rate = options.rate or connector and connector.options.rate
  core.set_source(task.pointer, { rate = rate or nil, max_delay = options.max_delay_ms,
    has_time_function = type(x.component.time) == "function" })
  acks.prepare(task, x, schema_views())
  task.watch = idle.watch(task, x, send, function(wm)
    advance(task, 0, wm)
    drain(task)
    flush_collected(task)
  end)
  local read
  if not connector then read = custom_body(task, x)
  elseif connector.type == "generator" then read = generator_body(task, x)
  else read = connector_body(task, x) end
  return function()
    while T.is_stopping == 0 and not task.was_ended do
      follow_orders(task)
      local step = read()
      if step == DONE then break end
      if step == WAIT_TIME then
        task.watch.waits(T.is_starved ~= 0)
        wait(task, step)
      else
        yield(step)
      end
    end
    if task.has_acks then await_acks(task) end
  end
end

-- The body
-- -------------------------------------------------------------------------------------------------------------------

--- Gives a task what its components need before they are built.
function M.prepare(task)
  local T, clock = task.T, ffi.new("sw_clock")
  task.clock = clock
  task.read_clock = function() clock.now = tonumber(T.now_ms) end
  task.due = ffi.new("int64_t[8]", FAR, FAR, FAR, FAR, FAR, FAR, FAR, FAR)
  task.timed, task.expiring, task.batches = {}, {}, 0
  task.advance = function(domain, wm) return advance(task, domain, wm) end
  task.time_function = time_function
  task.malformed = reject
  task.halt = errors.halt
end

--- Closes what a halted job left open.
function M.halt(task)
  for _, x in ipairs(task.order) do close_component(x) end
end

--- The function a task's coroutine runs.
function M.body(task)
  for _, x in ipairs(task.order) do
    x.owner = task
    if x.call_timer then task.timed[#task.timed + 1] = x end
    if x.has_ttl and x.keyed and x.component.keyed then task.expiring[#task.expiring + 1] = x end
  end
  task.who = ("%s/%s#%d"):format(task.job.name, task.head.name, task.number)
  task.was_ended = core.restored_task(task.pointer) and task.head.component.op == "source"
  for domain = 0, task.domains do next_due(task, domain) end
  task.T.timer_ms = processing_due(task)
  local run = task.head.component.op == "source" and source_body(task)
  return function()
    if run then run() else channel_body(task) end
    finish(task)
  end
end

return M
