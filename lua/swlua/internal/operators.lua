--- Builds the stage of one component: what its kind of operator does with an event, and how events reach it by each
-- of its inputs.
local f = require("swlua.internal.ffi")
local check = require("swlua.check")
local collect = require("swlua.internal.collect")
local decode = require("swlua.internal.decode")
local pack = require("swlua.internal.pack")
local passing = require("swlua.internal.passing")
local records = require("swlua.internal.records")
local snapshot = require("swlua.internal.snapshot")
local state_tables = require("swlua.internal.state_tables")

local ffi, C, core = f.ffi, f.C, f.core

local M = {}

-- The collector ----------------------------------------------------------------------------------------------------

local durations = {}

local function duration_ms(text)
  if type(text) == "number" then return math.max(0, math.ceil(text)) end -- ms, from the engine's own operators
  local ms = durations[text]
  if ms == nil then
    local expected
    ms, expected = check.rule.duration(text)
    if ms == nil then error(("processing_timer: expected %s, got %s"):format(expected, check.show(text)), 3) end
    durations[text] = ms
  end
  return ms
end

local function named_emitters(x, state, encode)
  local emitters = {}
  for _, edge in ipairs(x.edges) do
    local name = edge.output
    if edge.from == x.index and name ~= "default" and name ~= "dead_letters" and not emitters[name] then
      emitters[name] = x.stages.emitter(x, state, encode, x.consumers(name))
    end
  end
  return emitters
end

local function emit_to_function(x, emitters)
  local instance = x.instance
  return function(_, name, event, time)
    local emit = emitters[name]
    if emit then return emit(event, time) end
    if type(name) ~= "string" then error("emit_to: the first argument is the output's name", 2) end
    if type(event) ~= "table" and type(event) ~= "cdata" then error("emit_to: an event is a table", 2) end
    instance.n_out = instance.n_out + 1
    instance.unread = instance.unread + 1
  end
end

-- Acknowledging by hand ----------------------------------------------------------------------------------------------

local function no_effect() end

local function only_manual(what)
  return function() error(what .. ": the operator needs manual_ack = true", 2) end
end

--- What an operator with `manual_ack` needs: x.held has the events it holds. Elsewhere events are not acknowledged at
-- all, or when apply returns.
local function acknowledging(task, x, out, emitters)
  if not x.is_manual then
    out.ack, out.fail = only_manual("ack"), only_manual("fail")
    return
  end
  if not task.has_acks then
    out.ack, out.fail = no_effect, no_effect
    return
  end
  local T, held = task.T, x.held
  local function release(event, has_failed)
    local name = event ~= nil and held[event]
    if not name then return end
    held[event] = nil
    C.swffi_acks_release(T, name, has_failed)
  end
  x.release = release
  out.ack = function(_, event) release(event, 0) end
  out.fail = function(_, event) release(event, 1) end
  --- Emits in the name of held events.
  local function emit_for(emit, event, time, anchors)
    for i = 1, #anchors do
      local name = held[anchors[i]]
      if name then C.swffi_acks_name(T, name) end
    end
    if C.swffi_acks_open_named(T) ~= 0 then error("out of memory for an event", 0) end
    local ok, problem = pcall(emit, event, time)
    C.swffi_acks_close(T)
    if not ok then error(problem, 0) end
  end
  local emit_plain, emit_to_plain = out.emit, out.emit_to
  out.emit = function(self, event, time, anchors)
    if anchors == nil then return emit_plain(self, event, time) end
    emit_for(emitters.default, event, time, anchors)
  end
  out.emit_to = function(self, name, event, time, anchors)
    local emit = emitters[name]
    if anchors == nil or not emit then return emit_to_plain(self, name, event, time) end
    emit_for(emit, event, time, anchors)
  end
end

--- An error acknowledges the event it is about, unless the policy has it replayed.
local function release_failed(x)
  local fail = x.fail
  x.fail = function(err, event, time)
    fail(err, event, time)
    if x.policy ~= "fail" then x.release(event, 0) end
  end
end

local function check_time(time, what)
  if type(time) ~= "number" or time ~= time then
    error(("%s: expected a time in epoch ms, got %s"):format(what, check.show(time)), 3)
  end
end

--- Timers of the current key. Event time is kept in due[domain], processing time in task.timer_ms, so that the loops
-- need one compare.
local function timer_methods(task, x, keyed)
  local T, due = task.T, task.due
  local function set(which, time, name)
    if name ~= nil and type(name) ~= "string" then error("a timer's name is a string", 3) end
    local rc = C.swffi_timer_set(keyed, which, math.floor(time), name, name and #name or 0)
    if rc ~= 0 then error("a timer's name has at most 255 bytes", 3) end
  end
  return {
    timer = function(_, time, name)
      check_time(time, "timer")
      set(0, time, name)
      if time < due[x.domain] then due[x.domain] = math.floor(time) end
    end,
    processing_timer = function(_, duration, name)
      local time = tonumber(C.swffi_now_ms(T)) + duration_ms(duration)
      set(1, time, name)
      if time < T.timer_ms then T.timer_ms = time end
    end,
    cancel = function(_, what)
      local name = type(what) == "string" and what or nil
      if not name then check_time(what, "cancel") end
      for which = 0, 1 do
        C.swffi_timer_cancel(keyed, which, name and 0 or math.floor(what), name, name and #name or 0)
      end
    end,
  }
end

--- `out` of an apply.
local function collector(task, x, state, keyed, encode)
  local pass = x.consumers("default") or x.stages.unread(x)
  local emit = x.stages.emitter(x, state, encode, pass)
  local T = task.T
  local out = keyed and timer_methods(task, x, keyed) or {}
  local named = named_emitters(x, state, encode)
  out.emit = function(_, event, time) emit(event, time) end
  out.emit_to = emit_to_function(x, named)
  acknowledging(task, x, out, setmetatable({ default = emit }, { __index = named }))
  out.now = function() return tonumber(C.swffi_now_ms(T)) end
  local late
  out.late = function(_, event) -- for the engine's own operators: the event passes as it is, whatever rows look like
    local instance = x.instance
    late = late or x.consumers("late") or x.stages.unread(x)
    instance.late, instance.n_out = instance.late + 1, instance.n_out + 1
    late(event, x.moment.time)
    x.task.at = x.at
  end
  local fields = {
    time = function() return x.moment.time end,
    watermark = function() return tonumber(x.firing or T.wm[x.domain]) end,
    from = function() return state.from end,
    key = function()
      if keyed == nil or not x.component.keyed then return nil end
      return (decode.bytes(C.swffi_keyed_key(keyed), keyed.entry.key_len))
    end,
  }
  return setmetatable(out, { __index = function(_, name)
    local read = fields[name]
    return read and read() or nil
  end })
end

-- Keys -------------------------------------------------------------------------------------------------------------

--- Writes the key that these fields of a table event make.
local function key_of_fields(fields)
  local first, count = fields[1], #fields
  local function problem(name, value)
    return nil, ("field '%s' cannot be a key: it is %s"):format(name, value ~= value and "NaN" or "a " .. type(value))
  end
  if count == 1 then
    return function(event, S)
      local value = event[first]
      local n = pack.key(S, 0, value)
      if n == nil then return problem(first, value) end
      return n
    end
  end
  return function(event, S)
    local n = pack.key_list(S, 0, count)
    for i = 1, count do
      local name = fields[i]
      local value = event[name]
      n = pack.key(S, n, value)
      if n == nil then return problem(name, value) end
    end
    return n
  end
end

local MANY_KEYS = 8192 -- from here on a lookup is likely to miss the caches

local function gathered_entry(task, x, schema, to_row, direct, pass)
  local loop = x.stages.gathered_loop(x, x.keyed, records.of(schema).view, task.advance, pass)
  x.drain = function()
    if x.keyed.gathered.count > 0 then loop() end
    task.advance(x.domain, task.T.wm[x.upstream_domain])
    x.is_large = C.swffi_keyed_count(x.keyed) >= MANY_KEYS
  end
  return x.stages.keyed_gathered(x, x.keyed, to_row, x.drain, task.advance, direct)
end

--- Puts the look at the entries found last before `other` where the key is one field.
local function keyed_by_one(x, edge, other, pass)
  if #edge.fields > 1 then return other end
  local recent = C.swffi_keyed_recent(x.keyed)
  if recent == nil then error({ text = x.name .. ": out of memory" }, 0) end
  return x.stages.keyed_by_number(x.keyed, edge.fields[1], recent, other, pass)
end

local function keyed_entry(task, x, edge, pass)
  local stages, keyed = x.stages, x.keyed
  local S, anchor = f.scratch()
  task.anchors[#task.anchors + 1] = anchor
  if edge.fn then return stages.keyed_by_function(x, keyed, edge.fn, S, pack.key, pass) end
  local upstream = task.job.components[edge.from + 1]
  if upstream.schema and edge.output == "default" then
    core.keyed_fields(x.keyed_anchor, edge.fields)
    local to_row = task.record_row_maker(records.of(upstream.schema))
    local direct = keyed_by_one(x, edge, stages.keyed_by_fields(x, keyed, to_row, pass), pass)
    if not x.upstream_domain then return direct end
    return gathered_entry(task, x, upstream.schema, to_row, direct, pass)
  end
  local by_values = stages.keyed_by_values(x, keyed, key_of_fields(edge.fields), S, pass)
  return keyed_by_one(x, edge, by_values, pass)
end

-- Operators ----------------------------------------------------------------------------------------------------------

local builders = {}

--- The schema of all that reaches x, where it is known and one, and what of its string fields x's function leaves
-- alone.
local function passive_fields(task, x)
  local schema
  for _, edge in ipairs(x.edges) do
    if edge.to == x.index then
      local upstream = edge.output == "default" and task.job.components[edge.from + 1].schema
      if not upstream or schema and schema ~= upstream then return nil end
      schema = upstream
    end
  end
  if not schema then return nil end
  local is_string = {}
  for _, field in ipairs(schema.fields) do is_string[field.name] = field.type == "string" end
  local found = passing.analyse(x.component.fn, is_string)
  return found and records.of(schema), found
end

--- A writer that takes handed-on fields from the event, checking fields now and then as the encoder does.
local function passing_writer(task, x, schema, found)
  local S, anchor = f.scratch()
  task.anchors[#task.anchors + 1] = anchor
  local result_schema = records.of(x.component.schema)
  local write = result_schema.writer(S, records.passed_slots(schema, found))
  local check_fields = records.sampled_check(result_schema, task.sample)
  local refuse = x.encoder("map returned")
  return function(result, event)
    if type(result) ~= "table" then return refuse(result) end
    check_fields(result)
    local record = write(result, event)
    return record
  end
end

function builders.map(task, x)
  local pass = x.consumers("default") or x.stages.unread(x)
  local plain = x.stages.map(x, x.component.fn, x.encoder("map returned"), pass)
  local schema, found = passive_fields(task, x)
  if not schema or not x.component.schema or x.strict then return plain end
  local write = passing_writer(task, x, schema, found)
  local view = records.passive_view(schema, found)
  return x.stages.map_passing(x, x.component.fn, schema.pointer, view, write, plain, pass)
end

function builders.filter(task, x)
  local pass = x.consumers("default") or x.stages.unread(x)
  local plain = x.stages.filter(x, x.component.fn, pass)
  local schema, found = passive_fields(task, x)
  if not schema or x.strict then return plain end
  return x.stages.filter_comparing(x, x.component.fn, schema.pointer, records.passive_view(schema, found), plain, pass)
end

function builders.flat_map(_, x)
  local pass = x.consumers("default") or x.stages.unread(x)
  local emit = x.stages.emitter(x, {}, x.encoder("emit got"), pass)
  return x.stages.flat_map(x, x.component.fn, emit)
end

function builders.event_time(task, x)
  local pass = x.consumers("default") or x.stages.unread(x)
  local malformed = x.consumers("malformed")
  local time_of = task.time_function(x)
  local delay, seen = x.component.options.max_delay_ms or 0, -math.huge
  return function(event)
    x.instance.n_in = x.instance.n_in + 1
    local time, problem = time_of(event)
    if time == nil then return task.malformed(x, malformed, event, problem) end
    x.instance.n_out = x.instance.n_out + 1
    pass(event, time)
    if time > seen then
      seen = time
      task.advance(x.domain, time - delay)
    end
  end
end

--- What a sink in C says to a row it does not take: an error of the event, or the sink has failed.
local function sink_slow_path(task, x)
  local codes = core.codes
  return function(rc, event, time)
    local text = ffi.string(task.T.err.text)
    if rc == codes.SW_ETYPE or rc == codes.SW_EFORMAT then return x.fail(text, event, time) end
    core.fail(task.pointer, 1, ("%s/%s#%d: %s"):format(x.job, x.name, x.number, text))
    return task.halt()
  end
end

--- A sink of the user's, or one in C. That one only encodes what it gets: `x.reader` makes its stage, and rows that
-- come by a channel are not decoded for it.
function builders.sink(task, x)
  local component = x.component
  if component.operator then return x.stages.custom_sink(x, component.operator.apply, x.self) end
  if component.connector.type == "null" then
    local stage = x.stages.null_sink(x)
    x.reader = function() return stage end
    x.takes_rows = stage
    return stage
  end
  local connector = component.connector
  local opened, pointer = pcall(core.open_sink, task.pointer, connector.type, connector.options, x.name, x.index)
  if not opened then error({ text = ("%s/%s#%d: %s"):format(x.job, x.name, x.number, pointer) }, 0) end
  local sink, slow = ffi.cast(f.sink_p, pointer), sink_slow_path(task, x)
  local direct = x.stages.sink(x, sink, task.to_row, slow)
  local stage_of = collect.stages(task, x, nil, pointer, direct)
  x.reader = function(may_collect) return x.stages.counted(x, stage_of(may_collect)) end
  x.takes_rows = x.stages.row_sink(x, sink, slow)
  return direct
end

--- Is any presence bit of a state record set?
local function drop_when_empty(x, keyed, words)
  return function(entry, record)
    for w = 0, words - 1 do
      if record.sw__p[w] ~= 0 then return end
    end
    C.swffi_keyed_remove(keyed, entry)
  end
end

--- Puts what is fresh for a key whose ttl has passed before `pass`.
local function with_ttl(x, reset, pass)
  local ttl = x.component.options.ttl_ms
  x.ttl_now = function(time) return time end
  return function(event, time, entry)
    if entry.changed_ms ~= 0 and tonumber(entry.changed_ms) + ttl <= time then reset(entry) end
    return pass(event, time, entry)
  end
end

local function record_state(x, keyed, fn, _, out)
  local layout = records.state_of(x.component.state_schema)
  local after = drop_when_empty(x, keyed, layout.words)
  x.state_of = function(entry)
    return ffi.cast(layout.pointer, ffi.cast(f.bytes_p, entry) + f.ENTRY_SIZE)
  end
  x.after = function(entry)
    after(entry, x.state_of(entry))
  end
  x.read_state = function(entry) -- as a table, for looking at it from outside
    local out_table = {}
    for _, field in ipairs(layout.fields) do out_table[field.name] = layout.get[field.name](x.state_of(entry)) end
    return out_table
  end
  x.reset = function(entry)
    records.current.keyed = keyed
    local record = x.state_of(entry)
    for _, field in ipairs(layout.fields) do record[field.name] = nil end
  end
  return x.stages.apply_record_state(x, fn, x.self, out, keyed, layout, after)
end

local function table_state(x, keyed, fn, state, out)
  local tables = state_tables.new(keyed, x)
  x.tables = tables
  x.state_of = tables.take
  x.after = function(entry, t) tables.give_back(entry, t) end
  x.read_state = function(entry) return tables.take(entry) end
  x.reset = tables.reset
  return x.stages.apply_table_state(x, fn, x.self, state, out, tables)
end

--- The call of on_timer for the key and timer that `keyed` has selected.
local function timer_caller(x, keyed, on_timer, out)
  local has_state = x.component.keyed
  return function()
    local time = tonumber(keyed.timer_time)
    local name = keyed.timer_name ~= nil and ffi.string(keyed.timer_name, keyed.timer_name_len) or nil
    local entry = keyed.entry
    local value = has_state and x.state_of(entry) or nil
    records.current.keyed = keyed
    x.moment.time = time
    x.task.at = x.at
    local was_ordered = x.order.on
    x.order.on = was_ordered or has_state
    local ok, err
    if x.self then
      ok, err = xpcall(on_timer, x.trace, x.self, time, out, value, name)
    else
      ok, err = xpcall(on_timer, x.trace, time, out, value, name)
    end
    x.order.on = was_ordered
    if not ok then x.fail(err, nil, time) end
    if has_state then x.after(entry, value) end
  end
end

--- A key for the timers of an operator without one.
local function select_nil_key(keyed)
  C.swffi_keyed_bytes(keyed, "\xc0", 1)
end

--- The functions of a windowed component are made for it, and of no instance.
local function compose_windows(task, x, keyed, out)
  x.self, x.is_windowed = nil, true
  local windows, spec = core.chunk("swlua.internal.windows")(), x.component.operator.windowed
  local fn, on_timer = windows.compose(spec, task, x, keyed, out)
  x.composed = fn
  return fn, on_timer
end

function builders.apply(task, x)
  local component = x.component
  local operator = component.operator
  local fn = operator and operator.apply or component.fn
  local on_timer = operator and operator.on_timer or component.options.on_timer
  local state = { from = "" }
  x.state = state
  x.is_manual = component.options.manual_ack or operator and operator.manual_ack or false
  if x.is_manual and task.has_acks then
    x.held = setmetatable({}, { __mode = "k" })
    release_failed(x)
    core.acks_holder(task.pointer, x.index)
  end
  local keyed
  if component.keyed or on_timer then
    local schema = component.state_schema and records.of(component.state_schema)
    local anchor, address = core.keyed_new(component.keyed and schema and schema.id or 0)
    x.keyed_anchor, keyed = anchor, ffi.cast(f.keyed_p, address)
    x.keyed = keyed
    snapshot.keyed(x)
    if not component.keyed then select_nil_key(keyed) end
  end
  local out = collector(task, x, state, keyed, x.encoder("emit got"))
  if operator and operator.windowed then fn, on_timer = compose_windows(task, x, keyed, out) end
  if on_timer then x.call_timer = timer_caller(x, keyed, on_timer, out) end
  if not component.keyed then return x.stages.apply(x, fn, x.self, out) end
  local make = component.state_schema and record_state or table_state
  local pass = make(x, keyed, fn, state, out)
  if x.has_ttl then pass = with_ttl(x, x.reset, pass) end
  return pass
end

-- Putting it together
-- ---------------------------------------------------------------------------------------------------

--- In strict mode what was emitted is compared when the call is over.
local function checked(x, pass)
  if not x.strict then return pass end
  return function(event, time, entry)
    pass(event, time, entry)
    local ok, problem = pcall(x.check_unchanged)
    if not ok then x.fail(problem, event, time) end
  end
end

--- Remembers which stream an event came by, where there are several.
local function from_stream(x, stream, pass)
  local state = x.state
  return function(event, time, entry)
    state.from = stream
    return pass(event, time, entry)
  end
end

--- The stage of a component that acknowledges by hand holds each event while it is at work, and until it is released.
local function holding(x, pass)
  return x.held and x.stages.held(x, x.held, pass) or pass
end

local function input_count(x)
  local count = 0
  for _, edge in ipairs(x.edges) do
    if edge.to == x.index then count = count + 1 end
  end
  return count
end

local function connect_inputs(task, x, pass)
  local several = input_count(x) > 1
  for i, edge in ipairs(x.edges) do
    if edge.to == x.index then
      local entry = pass
      if x.state then
        x.state.from = edge.stream
        if several then entry = from_stream(x, edge.stream, pass) end
      end
      local has_state = x.keyed and x.component.keyed
      if core.edge(task.worker, i - 1) then
        x.entries[i] = has_state and keyed_entry(task, x, edge, entry) or entry
      elseif has_state then
        x.row_entries[i] = x.stages.keyed_by_row(x.keyed, entry)
      else
        x.row_entries[i] = x.takes_rows or function(_, event, time) entry(event, time) end
      end
    end
  end
end

--- The instance object of an operator table: the user's functions behind a table of its own.
local function instantiate(x)
  local operator = x.component.operator
  if not operator then return end
  x.self = setmetatable({}, { __index = operator })
end

--- Calls setup_instance; what it raises ends the start of the job.
function M.setup(x)
  local operator = x.component.operator
  if not (operator and operator.setup_instance) then return end
  local ok, err = xpcall(operator.setup_instance, x.trace, x.self, x.about, snapshot.instance_state(x))
  if ok then return end
  error({ text = ("%s/%s#%d: setup_instance: %s"):format(x.job, x.name, x.number, err.traceback or err.sw_text) }, 0)
end

--- Makes the stage of component x and of the edges that lead to it.
function M.build(task, x)
  x.edges = task.edges
  x.stages = core.chunk("swlua.internal.stages")()
  instantiate(x)
  local op = x.component.op
  if op ~= "source" then
    connect_inputs(task, x, holding(x, checked(x, builders[op](task, x))))
  end
  M.setup(x)
  snapshot.recommit(x)
  if x.prepared then task.has_commits = true end
end

return M
