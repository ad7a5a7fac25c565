--- Sets up the tasks of a worker: composes each task's stages into one chain of closures and makes its coroutine.
--
--     core.tasks(worker) ──► per task: components in reverse order, each given what it passes events to ──►
-- internal/main.lua
local f = require("swlua.internal.ffi")
local check = require("swlua.check")
local collect = require("swlua.internal.collect")
local decode = require("swlua.internal.decode")
local errors = require("swlua.internal.errors")
local graph = require("swlua.internal.graph")
local main = require("swlua.internal.main")
local operators = require("swlua.internal.operators")
local pack = require("swlua.internal.pack")
local records = require("swlua.internal.records")
local text = require("swlua.internal.text")
local values = require("swlua.values")

local ffi, C, core = f.ffi, f.C, f.core
local cast, band, type, ALTERED = ffi.cast, bit.band, type, f.ALTERED

local M = {}

--- In memory of its own type, the JIT finds it unchanged by what an event does to other memory.
ffi.cdef("typedef struct sw_moment { double time; } sw_moment;")

--- pairs over engine-owned tables is ordered while this is on (internal/order.lua replaces the global).
M.order = require("swlua.internal.order").state

-- What a component passes its events to ----------------------------------------------------------------------------

--- Turns an event of either shape into a row ready to leave the task.
local function row_maker(task)
  local T = task.T
  local S, anchor = f.scratch()
  local flatten = records.flattener()
  task.anchors[#task.anchors + 1] = anchor
  local row_p, head = f.row_p, f.ROW_SIZE
  return function(event, time)
    local row
    if type(event) == "cdata" then
      row = cast(row_p, event)
      if row.flags == ALTERED then row = cast(row_p, flatten(event)) end
    else
      local n = pack.event(S, head, event)
      local len = band(n + 7, -8)
      if len > S.cap then f.grow(S, len) end
      row = cast(row_p, S.data)
      row.len, row.body_len, row.key_len = len, n - head, 0
      row.hash, row.schema, row.kind, row.flags = 0, 0, 0, 0
    end
    row.time = time
    row.stamp = T.stamp
    return row
  end
end

--- Groupings that look at nothing of an event.
local PLAIN_GROUPINGS = { forward = true, shuffle = true, global = true }

--- Turns what comes from a component with a schema into a row: a record, or a checked table that stands for it.
local function record_row_maker(task)
  return function(schema)
    local S, anchor = f.scratch()
    task.anchors[#task.anchors + 1] = anchor
    local write, to_row = schema.writer(S), task.to_row
    return function(event, time)
      if type(event) == "table" then event = write(event) end
      local row = to_row(event, time)
      return row
    end
  end
end

--- The cold path of a port: waits for room, or fails the event whose key cannot be one.
local function port_slow_path(task, x, port, stages, put, key_scratch)
  local T = task.T
  return function(rc, row, event, time, extra)
    if rc == f.FULL then
      local key, key_len, index = nil, 0, 0
      if key_scratch then key, key_len = key_scratch.data, extra else index = extra or 0 end
      rc = stages.wait_for_room(T, port, row, put, extra, key, key_len, index)
      task.read_clock()
    end
    if rc ~= 0 then return x.fail(errors.task_error(T), event, time) end
  end
end

--- How events of a component with a schema leave: `send` writes a checked table where its row lies, `to_row` makes
-- a row of what does not go that way.
local function record_sender(task, schema)
  local head = ffi.new("sw_row")
  task.anchors[#task.anchors + 1] = head
  return schema.sender(cast(f.row_p, head)), schema.table_check(), task.record_row_maker(schema)
end

local function port_stage(task, x, edge_index, edge, may_collect)
  local stages = core.chunk("swlua.internal.stages")()
  local T = task.T
  local to_row, send, fits = task.to_row, nil, nil
  if x.component.schema and graph.has_rows(x.component, edge.output) then
    send, fits, to_row = record_sender(task, records.of(x.component.schema))
    if task.has_acks then send = nil end -- What it descends from is written behind a whole row.
    may_collect = false
  end
  local port = cast(f.port_p, task.ports[edge_index])
  if x.domain > 0 then core.port_domain(task.pointer, task.ports[edge_index], x.domain) end
  if edge.grouping == "key" and edge.fn then
    local S, anchor = f.scratch()
    task.anchors[#task.anchors + 1] = anchor
    local function put(row, n) return C.swffi_port_put_key(T, port, row, S.data, n) end
    local slow = port_slow_path(task, x, port, stages, put, S)
    return stages.port_by_function(x, port, edge.fn, S, pack.key, to_row, slow)
  end
  if edge.grouping == "partition" then
    local _, count = core.edge(task.worker, edge_index)
    local function put(row, index) return C.swffi_port_put_to(T, port, row, index) end
    local slow = port_slow_path(task, x, port, stages, put)
    return stages.port_by_partition(x, port, edge.fn, count, to_row, slow, fits, send)
  end
  local function put(row) return C.swffi_port_put(T, port, row) end
  local slow = port_slow_path(task, x, port, stages, put)
  if send and PLAIN_GROUPINGS[edge.grouping] then return stages.port_of_tables(x, port, to_row, slow, fits, send) end
  if task.has_acks and edge.grouping == "broadcast" then may_collect = false end -- Each copy has an edge of its own.
  local direct = stages.port(x, port, to_row, slow)
  return may_collect and collect.stages(task, x, task.ports[edge_index], nil, direct)(true) or direct
end

--- Copies an event for one of several readers.
local function copier(task)
  return function(event)
    if type(event) == "cdata" then return values.record_copy(event) end
    return values.copy(event)
  end
end

--- Consumers in one function: first those that only encode the event, then those that run user code, of which all but
-- the last get copies.
local function compose(task, readers, runners)
  local stages = core.chunk("swlua.internal.stages")()
  local all = runners[#runners]
  for i = #runners - 1, 1, -1 do all = stages.fan_out(runners[i], all, copier(task)) end
  for i = #readers, 1, -1 do all = all and stages.tee(readers[i], all) or readers[i] end
  return all
end

--- Where output `name` of component x goes; nil when nobody reads it. Events may be collected on their way out only
-- where no user code gets them too: it may change the table.
local function consumers(task, x, name)
  local readers, runners, outward = {}, {}, {}
  for i, edge in ipairs(task.edges) do
    if edge.from == x.index and edge.output == name then
      local consumer = core.edge(task.worker, i - 1) and task.by_index[edge.to]
      if not consumer then
        outward[#outward + 1] = function(may_collect) return port_stage(task, x, i - 1, edge, may_collect) end
      elseif consumer.reader then
        outward[#outward + 1] = consumer.reader
      else
        runners[#runners + 1] = consumer.entries[i]
      end
    end
  end
  for i, make in ipairs(outward) do readers[i] = make(#runners == 0 and not x.strict) end
  if #readers + #runners == 0 then return nil end
  return compose(task, readers, runners)
end

-- One component of a task --------------------------------------------------------------------------------------------

local makes_events = { map = true, flat_map = true, apply = true }

--- Is the key of this edge one number, which is found in a table as fast as in a record? The state behind it must not
-- take the table in.
local function is_number_key(edge, consumer, schema)
  if edge.fn or #edge.fields > 1 or not consumer.state_schema then return false end
  for _, field in ipairs(schema.fields) do
    if field.name == edge.fields[1] then return field.type ~= "string" and field.type ~= "bool" end
  end
  return false
end

--- Do the events of component `index` go only to functions in this task, which make other events of them (or
-- nothing), or to ports that write them where they are sent? Then a table stands for the record: the JIT never makes
-- it, where writing and reading a record is work. A filter hands on what it got.
local function takes_tables(task, index, schema)
  local count = 0
  for i, edge in ipairs(task.edges) do
    if edge.from == index and graph.has_rows(task.job.components[index + 1], edge.output) then
      count = count + 1
      local consumer = core.edge(task.worker, i - 1) and task.job.components[edge.to + 1]
      if not consumer then
        if not PLAIN_GROUPINGS[edge.grouping] and edge.grouping ~= "partition" then return false end
      elseif edge.grouping == "key" and not is_number_key(edge, consumer, schema) then
        return false
      elseif consumer.op == "sink" then
        if consumer.operator or consumer.connector.type ~= "null" then return false end
      elseif consumer.op == "filter" then
        if not takes_tables(task, edge.to, schema) then return false end
      elseif not makes_events[consumer.op] or not consumer.schema then
        return false
      end
    end
  end
  return count > 0
end

--- The encoder of a component whose events stay tables.
local function table_encoder(schema, write, check_fields, otherwise)
  local fits, meta = schema.table_check(), schema.table_meta
  return function(event)
    if type(event) == "table" then
      check_fields(event)
      if getmetatable(event) == nil and fits(event) then
        local marked = setmetatable(event, meta)
        return marked
      end
      local record = write(event)
      return record
    end
    return otherwise(event)
  end
end

--- Checks what user code emits, or writes it as a record.
local function encoder(task, component, verb)
  local function refuse(event)
    error(("%s %s: an event is a table"):format(verb, event == nil and "nil" or "a " .. type(event)), 0)
  end
  if component.schema and component.op ~= "filter" then
    local schema = records.of(component.schema)
    local S, anchor = f.scratch()
    task.anchors[#task.anchors + 1] = anchor
    local write, pointer = schema.writer(S), schema.pointer
    local check_fields = records.sampled_check(schema, task.sample)
    local istype = ffi.istype
    local function as_record(event)
      if type(event) == "table" then
        check_fields(event)
        local record = write(event)
        return record
      end
      if type(event) == "cdata" then
        if istype(pointer, event) then return event end
        local other = records.schema_of(event)
        if other then
          local as_table = records.to_table(event, other)
          schema.check_fields(as_table)
          return write(as_table)
        end
      end
      return refuse(event)
    end
    if task.options.strict or not takes_tables(task, component.index - 1, schema) then return as_record end
    return table_encoder(schema, write, check_fields, as_record)
  end
  return function(event)
    local is_record = type(event) == "cdata" and records.schema_of(event)
    if type(event) ~= "table" and not is_record then return refuse(event) end
    return event
  end
end

--- After emit the table is the engine's. In strict mode the emitter gets a private copy made, and changes are found
-- at the call's end.
local function strict_encoder(encode, x)
  return function(event)
    local encoded = encode(event)
    if encoded ~= event or type(event) ~= "table" then return encoded end
    x.emitted[#x.emitted + 1] = { event, values.str(event) }
    return values.copy(event)
  end
end

local function check_unchanged(x)
  for i = #x.emitted, 1, -1 do
    local event, was = x.emitted[i][1], x.emitted[i][2]
    x.emitted[i] = nil
    if values.str(event) ~= was then error("an event was changed after it was emitted", 0) end
  end
end

local function set_aside_function(task, x)
  return function(letter, time)
    if x.letters == nil then x.letters = consumers(task, x, "dead_letters") or false end
    if x.letters then return x.letters(letter, time) end
    if task.options.on_dead_letter then return task.options.on_dead_letter(letter) end
    local ok, row = pcall(task.to_row, letter, time)
    if not ok then
      letter.event = check.show(letter.event)
      row = task.to_row(letter, time)
    end
    if not core.dead_letter(task.pointer, row) then
      core.dead_letter(task.pointer, task.to_row(text.printable(letter), time))
    end
  end
end

--- The function that errors without a place are said to be in.
local function user_function(component)
  local operator, connector = component.operator, component.connector
  if operator and operator.windowed then return operator.windowed.fn end
  return component.fn or (operator and (operator.apply or operator.get_events)) or (connector and connector.fn)
end

local function context(task, desc)
  local component = task.job.components[desc.index + 1]
  local x = {
    index = desc.index, at = desc.index + 1, component = component, name = component.name, number = task.number,
    job = task.job.name, task = task.T, task_pointer = task.pointer, instance = cast(f.instance_p, desc.instance),
    policy = component.options.on_error or task.job.settings.on_error, trace = errors.trace,
    current = records.current, order = M.order, strict = task.options.strict, entries = {}, row_entries = {},
    moment = ffi.new("sw_moment"), domain = 0,
    emitted = {}, copy = values.copy, has_ttl = component.options.ttl_ms ~= nil,
    fn = user_function(component),
    about = { id = task.number, count = task.count, job = task.job.name, component = component.name,
      restored = core.restored_version(task.pointer, component.name) ~= nil },
    has_checkpoints = core.has_checkpoints(task.pointer), has_acks = task.has_acks,
  }
  if component.behind_dead_letters and x.policy == "dead-letter" then x.policy = "skip" end
  x.set_aside = set_aside_function(task, x)
  x.fail = errors.handler(x)
  x.fail_text = function(event, time) return x.fail(errors.task_error(task.T), event, time) end
  x.encoder = function(verb)
    local encode = encoder(task, component, verb)
    if not x.strict then return encode end
    return strict_encoder(encode, x)
  end
  x.event_of = function(row) return decode.bytes(cast(f.bytes_p, row) + f.ROW_SIZE, row.body_len) end
  x.flush_collected = function()
    if task.is_failing then return end
    task.is_failing = true
    for _, flush in ipairs(task.collectors) do flush() end
  end
  x.check_unchanged = function() return check_unchanged(x) end
  x.consumers = function(name) return consumers(task, x, name) end
  return x
end

--- The watermark domain of a component: its own for event_time, and for a keyed operator whose events may be gathered
-- (stages.lua), which those that are acknowledged are not; else that of what it reads.
local function set_domain(task, x)
  if x.component.op == "event_time" then
    task.domains = task.domains + 1
    if task.domains > 7 then error("more than 7 event_time components in one task", 0) end
    x.domain = task.domains
    return
  end
  local inputs, by_fields = 0, nil
  for i, edge in ipairs(task.edges) do
    local upstream = task.by_index[edge.from]
    if edge.to == x.index then
      inputs = inputs + 1
      if upstream then x.domain = math.max(x.domain, upstream.domain) end
      local has_records = upstream and upstream.component.schema and edge.output == "default"
      if has_records and edge.fields and core.edge(task.worker, i - 1) then by_fields = edge end
    end
  end
  local may_gather = x.component.op == "apply" and x.component.keyed and task.domains < 7 and not task.has_acks
  if by_fields and inputs == 1 and may_gather then
    task.domains = task.domains + 1
    x.upstream_domain, x.domain = x.domain, task.domains
  end
end

local EMITS_BY_DEFAULT_OUTPUT_ONLY = { map = true, filter = true }

--- Is all that comes to x what one other component of the task emits? Then it is counted once, over there.
local function set_feeder(task, x)
  local inputs, feeder = 0, nil
  for i, edge in ipairs(task.edges) do
    if edge.to == x.index then
      inputs = inputs + 1
      local upstream = core.edge(task.worker, i - 1) and task.by_index[edge.from]
      local is_plain = upstream and edge.output == "default" and edge.grouping == "forward"
      if is_plain and (EMITS_BY_DEFAULT_OUTPUT_ONLY[upstream.component.op] or upstream.component.connector) then
        feeder = upstream
      end
    end
  end
  if inputs > 1 or not feeder then return end
  x.is_fed, x.instance.fed_by = true, feeder.instance
end

--- Marks the components that read dead_letters(), directly or not: they skip.
local function mark_behind_dead_letters(job)
  for _, component in ipairs(job.components) do
    for _, input in ipairs(component.inputs or {}) do
      if input.from == 0 or job.components[input.from].behind_dead_letters then component.behind_dead_letters = true end
    end
  end
end

--- Rows may come from components of other workers: every layout of the job is known in every state.
local function make_schemas(job)
  for _, component in ipairs(job.components) do
    if component.schema then records.of(component.schema) end
  end
end

-- Tasks ------------------------------------------------------------------------------------------------------------

local function make_task(worker, job, edges, desc, options)
  local task = {
    worker = worker, job = job, edges = edges, options = options, pointer = desc.task, T = cast(f.task_p, desc.task),
    number = desc.number, count = desc.count, ports = desc.ports, inputs = desc.inputs, by_index = {}, order = {},
    anchors = {}, domains = 0, collectors = {}, sample = not options.strict and records.sample() or nil,
    has_acks = core.has_acks(desc.task),
  }
  main.prepare(task)
  task.to_row, task.record_row_maker = row_maker(task), record_row_maker(task)
  for i, part in ipairs(desc.components) do
    local x = context(task, part)
    task.order[i], task.by_index[part.index] = x, x
    set_domain(task, x)
    set_feeder(task, x)
  end
  task.head = task.order[1]
  for i = #task.order, 1, -1 do operators.build(task, task.order[i]) end
  return task
end

--- Makes the coroutines of all tasks of a worker and calls their setup_instance.
---@param worker userdata
---@param job swlua.Job
---@param options { strict: boolean }
---@return table tasks to be kept alive while the worker runs
function M.start(worker, job, options)
  local edges = graph.edges(job)
  local tasks = {}
  mark_behind_dead_letters(job)
  make_schemas(job)
  for i, desc in ipairs(core.tasks(worker)) do
    local task = make_task(worker, job, edges, desc, options)
    task.coroutine = coroutine.create(main.body(task))
    core.set_coroutine(task.pointer, task.coroutine)
    tasks[i] = task
  end
  return tasks
end

return M
