--- Components of a job: their options, their names, and how one is added to its job.
local check = require("swlua.check")
local operator = require("swlua.operator")
local record = require("swlua.record")

---@class swlua.component
local M = {}

---@alias swlua.Op "source"|"map"|"filter"|"flat_map"|"apply"|"event_time"|"sink"

---@class swlua.Grouping
---@field kind "forward"|"shuffle"|"key"|"broadcast"|"global"|"partition"
---@field fields string[]? of a key made of fields
---@field fn function? key or partition function
---@field where string? "file:line" of the call that named it

---@class swlua.Input
---@field from integer index of the upstream component; 0: the job's dead letters
---@field output string "default", or the named output
---@field grouping swlua.Grouping
---@field stream string "component" or "component:output"

---@class swlua.Component
---@field index integer 1.., in order of creation
---@field name string
---@field kind "source"|"operator"|"sink"
---@field op swlua.Op
---@field fn function? the user's plain function
---@field operator table? the user's table of functions
---@field connector swlua.Connector? a built-in source or sink
---@field options table<string, any> normalized
---@field schema swlua.Schema? of what it emits
---@field state_schema swlua.Schema?
---@field time string|function|nil what gives event time
---@field where string "file:line" of the call that made it
---@field single boolean on one resource: one instance
---@field keyed boolean its input is keyed
---@field inputs swlua.Input[]

---@class swlua.Part what is known of a component before it is checked
---@field op swlua.Op
---@field kind "source"|"operator"|"sink"
---@field name any
---@field options any
---@field inputs swlua.Input[]
---@field fn function?
---@field operator table?
---@field connector swlua.Connector?
---@field time any

local function idle_rule(value)
  local given = type(value) == "table" and value or { after = value }
  for name in pairs(given) do
    if name ~= "after" and name ~= "advance" then return nil, 'a duration or { after = "10s", advance = false }' end
  end
  if given.advance ~= nil and type(given.advance) ~= "boolean" then
    return nil, 'a table whose "advance" is true or false'
  end
  if given.after == nil then return { advance = given.advance } end
  local after_ms, expected = check.rule.positive_duration(given.after)
  return after_ms and { after_ms = after_ms, advance = given.advance }, expected
end

local PARALLELISM_MAX, QUEUE_MAX = 128, 2 ^ 24

M.parallelism_rule = check.integer(1, PARALLELISM_MAX)
M.queue_rule = check.integer(1, QUEUE_MAX)
M.on_error_rule = check.one_of({ "fail", "skip", "dead-letter" })

local COMMON = {
  on_error = { rule = M.on_error_rule },
  parallelism = { rule = M.parallelism_rule },
  queue = { rule = M.queue_rule },
  ttl = { rule = check.rule.positive_duration, to = "ttl_ms" },
}

local TIME = {
  idle = { rule = idle_rule },
  max_ahead = { rule = check.rule.duration, to = "max_ahead_ms" },
  max_delay = { rule = check.rule.duration, to = "max_delay_ms" },
}

local function spec_of(...)
  local spec = {}
  for _, part in ipairs({ COMMON, ... }) do
    for name, entry in pairs(part) do
      spec[name] = entry
    end
  end
  return spec
end

local SCHEMA = { schema = { rule = check.rule.schema } }

---@type table<swlua.Op, table<string, swlua.OptionSpec>>
local OPTIONS = {
  source = spec_of(TIME, SCHEMA, {
    journal = { rule = check.rule.boolean },
    rate = { rule = check.number_above(0, math.huge) },
    time = { rule = check.rule.field_or_function },
  }),
  map = spec_of(SCHEMA),
  filter = spec_of(),
  flat_map = spec_of(SCHEMA),
  apply = spec_of(SCHEMA, {
    manual_ack = { rule = check.rule.boolean },
    on_timer = { rule = check.rule.func },
    state = { rule = check.rule.schema },
  }),
  event_time = spec_of(TIME),
  sink = spec_of(),
}

--- `component "name"`, as messages call it.
---@param name any
---@return string
function M.subject(name)
  return ('component "%s"'):format(tostring(name))
end

--- What is wrong with a name, or nil.
---@param name any
---@param what string "component" or "job"
---@return string?
function M.name_fault(name, what)
  local as_first = ("the first argument is the %s's name"):format(what)
  if type(name) ~= "string" then return ("%s: %s, got %s"):format(what, as_first, check.show(name)) end
  if name == "" then return ("%s: %s, and it is empty"):format(what, as_first) end
  if name:find("[%c:#]") then
    return ('%s name %s: a name has no ":", "#" or control characters'):format(what, check.show(name))
  end
  return nil
end

local function unused_name(job, stem)
  local name, n = stem, 1
  while job._by_name[name] do
    n = n + 1
    name = stem .. "-" .. n
  end
  return name
end

local function checked_name(job, name, where)
  local fault = M.name_fault(name, "component")
  if fault ~= nil then
    check.problem(fault, where)
    return unused_name(job, "unnamed")
  end
  local other = job._by_name[name]
  if other ~= nil then
    local text = '%s: the name is taken by the %s at %s'
    check.problem(text:format(M.subject(name), other.op, other.where), where)
    return unused_name(job, name)
  end
  return name
end

--- Takes `stem` as a name, or `stem-2`, `stem-3` ... where it is taken.
M.unused_name = unused_name

local function normalized_options(subject, op, given)
  local options = check.options(subject, given, OPTIONS[op])
  if options.idle ~= nil then
    options.idle_ms, options.idle_advance, options.idle = options.idle.after_ms, options.idle.advance, nil
  end
  return options
end

--- Schema that all inputs have in common, or nil: what a component that passes events on emits.
---@param job swlua.Job
---@param inputs swlua.Input[]
---@return swlua.Schema?
function M.schema_of(job, inputs)
  local common
  for i, input in ipairs(inputs) do
    local upstream = job.components[input.from]
    local schema = input.output == "default" and upstream and upstream.schema or nil
    if schema == nil or (i > 1 and schema.text ~= common.text) then return nil end
    common = common or schema
  end
  return common
end

--- Are all of these inputs keyed?
---@param inputs swlua.Input[]
---@return boolean
function M.is_keyed(inputs)
  for _, input in ipairs(inputs) do
    if input.grouping.kind ~= "key" then return false end
  end
  return #inputs > 0
end

--- Refuses several instances on one resource.
---@param component swlua.Component
function M.check_parallelism(component)
  local own = component.options.parallelism
  if not component.single or own == nil or own == 1 then return end
  local what = tostring(component.connector)
  local is_file = component.connector.type == "file"
  local remedy = is_file and ' (a path with "{instance}" gives each instance its own file)' or ""
  local text = "%s: %s has one instance, parallelism %d is not possible%s"
  check.problem(text:format(M.subject(component.name), what, own, remedy))
  component.options.parallelism = nil
end

local function check_state(component, subject)
  local own = component.operator and component.operator.state or component.options.state
  if own == nil then return end
  component.state_schema = own
  if not component.keyed then
    check.problem(("%s: a state schema is for keyed operators: put key_by before it"):format(subject))
  end
end

-- Sources that cannot be asked again for what they gave.
local LIVE = { stdin = true }

local function check_journal(component, subject)
  if not component.options.journal then return end
  local connector = component.connector
  if connector ~= nil and LIVE[connector.type] then return end
  local what = connector and tostring(connector) .. " can be" or "a table of functions has get_state to be"
  check.problem(('%s: option "journal" is for sources that cannot be rewound, such as sw.from.stdin; %s'):format(
    subject, what))
  component.options.journal = nil
end

local function check_time(component, subject, job)
  local time = component.time
  if type(time) ~= "string" then return end
  local schema = component.op == "source" and component.schema or M.schema_of(job, component.inputs)
  operator.check_fields(subject, schema, { time }, true)
end

--- Checks a component and adds it to its job.
---@param job swlua.Job
---@param part swlua.Part
---@return swlua.Component
function M.add(job, part)
  local where = check.where()
  local name = checked_name(job, part.name, where)
  local subject = M.subject(name)
  local options = normalized_options(subject, part.op, part.options)
  ---@type swlua.Component
  local component = {
    index = #job.components + 1, name = name, kind = part.kind, op = part.op, fn = part.fn, operator = part.operator,
    connector = part.connector, options = options, schema = options.schema, time = part.time or options.time,
    where = where, single = part.connector ~= nil and part.connector.single or false,
    keyed = M.is_keyed(part.inputs), inputs = part.inputs,
  }
  if part.op == "filter" or part.op == "event_time" then component.schema = M.schema_of(job, part.inputs) end
  if part.operator ~= nil then options.version = part.operator.version end
  M.check_parallelism(component)
  check_state(component, subject)
  check_journal(component, subject)
  check_time(component, subject, job)
  job.components[component.index] = component
  job._by_name[name] = component
  return component
end

--- Checks that a plain function is one; a function that does nothing stands in where problems are collected.
---@param name any of the component
---@param fn any
---@param expected string? what else may stand there
---@return function
function M.checked_function(name, fn, expected)
  if type(fn) == "function" then return fn end
  check.problem(("%s: expected %s, got %s"):format(M.subject(name), expected or "a function", check.show(fn)))
  return function() end
end

--- Splits what a user gave as source or sink into a connector or a table of functions.
---@param subject string
---@param side "source"|"sink"
---@param value any
---@return swlua.Connector? connector
---@return table? operator
function M.connector_or_table(subject, side, value)
  local home = side == "source" and "sw.from" or "sw.to"
  if type(value) ~= "table" or record.is_schema(value) then
    local text = "%s: expected a connector from %s or a table of functions, got %s"
    check.problem(text:format(subject, home, check.show(value)))
    return nil, nil
  end
  if rawget(value, "kind") ~= "connector" then
    operator.check(subject, side, value)
    return nil, value
  end
  if value.side ~= side then
    check.problem(("%s: %s is no %s: those are in %s"):format(subject, tostring(value), side, home))
    return nil, nil
  end
  return value, nil
end

return M
