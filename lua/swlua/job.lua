--- Jobs: settings and components, what they say about themselves, and the checks of the graph as a whole.
local check = require("swlua.check")
local component = require("swlua.component")
local stream = require("swlua.stream")

---@class swlua.job
local M = {}

---@class swlua.Settings
---@field delivery "at-most-once"|"at-least-once"|"exactly-once"
---@field tracking "checkpoint"|"ack"
---@field ack_timeout_ms integer
---@field parallelism integer
---@field checkpoint { enabled: boolean, interval_ms: integer, retain: integer, timeout_ms: integer }
---@field backpressure { policy: string, queue: integer, high: number, low: number }
---@field on_error "fail"|"skip"|"dead-letter"
---@field restart { attempts: integer, delay_ms: integer }
---@field watchdog_ms integer

---@class swlua.Job
---@field name string
---@field options table as the script gave them
---@field settings swlua.Settings normalized, with defaults
---@field components swlua.Component[] in order of creation
---@field where string "file:line" of sw.job
---@field _by_name table<string, swlua.Component>
---@field _written table<string, string> "file:PATH" or "log:NAME" -> name of the sink that writes it
local Job = {}
local meta = { __index = check.members(Job, "jobs have no method", {}) }

meta.__tostring = function(self)
  return ('job "%s"'):format(self.name)
end

--- Is this a job?
---@param value any
---@return boolean
function M.is_job(value)
  return getmetatable(value) == meta
end

-- Settings ------------------------------------------------------------------------------------------------------

local FRACTION = check.number_above(0, 1)

local OPTIONS = {
  ack_timeout = { rule = check.rule.positive_duration, to = "ack_timeout_ms" },
  backpressure = { group = {
    high = { rule = FRACTION },
    low = { rule = FRACTION },
    policy = { rule = check.one_of({ "block", "stop-sources", "drop", "drop-newest", "drop-oldest" }) },
    queue = { rule = component.queue_rule },
  } },
  checkpoint = { group = {
    interval = { rule = check.rule.positive_duration, to = "interval_ms" },
    retain = { rule = check.integer(1, 1000000) },
    timeout = { rule = check.rule.positive_duration, to = "timeout_ms" },
  } },
  delivery = { rule = check.one_of({ "at-most-once", "at-least-once", "exactly-once" }) },
  on_error = { rule = component.on_error_rule },
  parallelism = { rule = component.parallelism_rule },
  restart = { group = {
    attempts = { rule = check.integer(0, 1000000) },
    delay = { rule = check.rule.duration, to = "delay_ms" },
  } },
  tracking = { rule = check.one_of({ "checkpoint", "ack" }) },
  watchdog = { rule = check.rule.positive_duration, to = "watchdog_ms" },
}

local function defaults()
  return {
    delivery = "at-most-once", tracking = "checkpoint", ack_timeout_ms = 30000, parallelism = 1, watchdog_ms = 10000,
    checkpoint = { interval_ms = 10000, retain = 3, timeout_ms = 60000 },
    backpressure = { policy = "block", queue = 1024, high = 0.8, low = 0.4 },
    restart = { attempts = 3, delay_ms = 1000 },
  }
end

local function merge(into, from)
  for name, value in pairs(from) do
    if type(value) == "table" and type(into[name]) == "table" then
      merge(into[name], value)
    else
      into[name] = value
    end
  end
  return into
end

local function check_together(subject, settings)
  local backpressure = settings.backpressure
  if backpressure.low >= backpressure.high then
    local text = '%s: option "backpressure.low" (%g) must be below "backpressure.high" (%g)'
    check.problem(text:format(subject, backpressure.low, backpressure.high))
  end
  if backpressure.policy:find("^drop") and settings.delivery ~= "at-most-once" then
    local text = '%s: backpressure policy "%s" loses events, which delivery "%s" does not allow'
    check.problem(text:format(subject, backpressure.policy, settings.delivery))
  end
  if settings.tracking == "ack" and settings.delivery ~= "at-least-once" then
    local text = '%s: tracking "ack" goes with delivery "at-least-once" only, not with "%s"'
    check.problem(text:format(subject, settings.delivery))
  end
end

local function settings_of(subject, options)
  local given = check.options(subject, options, OPTIONS)
  local settings = merge(defaults(), given)
  local is_kept = settings.delivery ~= "at-most-once" and settings.tracking ~= "ack"
  settings.checkpoint.enabled = is_kept or given.checkpoint ~= nil
  settings.on_error = settings.on_error or (settings.delivery == "at-most-once" and "dead-letter" or "fail")
  check_together(subject, settings)
  return settings
end

--- A new job.
---
---     local job = sw.job("fraud", { delivery = "exactly-once", checkpoint = { interval = "5s" } })
---@param name string
---@param options swlua.JobOptions?
---@return swlua.Job
function M.job(name, options)
  local fault = component.name_fault(name, "job")
  if fault ~= nil then
    check.problem(fault)
    name = "unnamed"
  end
  local job = { name = name, components = {}, where = check.where(), _by_name = {}, _written = {} }
  job.settings = settings_of(('job "%s"'):format(name), options)
  job.options = type(options) == "table" and options or {}
  return setmetatable(job, meta)
end

local function copied(options)
  return merge({}, options)
end

--- Replaces options, as the command line does; `parallelism` of single components goes by name.
---
---     job:override({ parallelism = 4, checkpoint = { interval = "1s" } }, { totals = 8 })
---@param options table job options
---@param parallelism table<string, integer>? of components
function Job:override(options, parallelism)
  local merged = copied(self.options)
  for name, value in pairs(options) do
    local old = merged[name]
    merged[name] = type(value) == "table" and type(old) == "table" and merge(copied(old), value) or value
  end
  self.options, self.settings = merged, settings_of(tostring(self), merged)
  for _, name in ipairs(check.sorted_keys(parallelism or {})) do
    self:_set_parallelism(name, parallelism[name])
  end
end

function Job:_set_parallelism(name, parallelism)
  local target = self._by_name[name]
  if target == nil then
    local hint = check.suggestion(name, check.sorted_keys(self._by_name))
    check.problem(('%s has no component "%s"%s'):format(tostring(self), name, hint))
    return
  end
  local value, expected = component.parallelism_rule(parallelism)
  if expected ~= nil then
    local text = '%s: parallelism must be %s, got %s'
    check.problem(text:format(component.subject(name), expected, check.show(parallelism)))
    return
  end
  target.options.parallelism = value
  component.check_parallelism(target)
end

-- Streams -------------------------------------------------------------------------------------------------------

--- Where events come from: a connector from sw.from, or a table of functions.
---
---     job:source("transactions", sw.from.file("transactions.jsonl"), { time = "ts", max_delay = "2s" })
---@param name string
---@param source swlua.Connector|swlua.Source
---@param options swlua.SourceOptions?
---@return swlua.Stream
function Job:source(name, source, options)
  if not M.is_job(self) then check.fatal("source is called with a colon: job:source(...)") end
  local connector, custom = component.connector_or_table(component.subject(name), "source", source)
  local added = component.add(self, {
    op = "source", kind = "source", name = name, connector = connector, operator = custom, options = options,
    inputs = {},
  })
  return stream.of(self, added.index, added.name, "default")
end

--- The stream of what on_error = "dead-letter" sets aside, over all components:
--- `{ component, instance, error, traceback, event, time }`.
---
---     job:dead_letters():to("failed", sw.to.file("failed.jsonl"))
---@return swlua.Stream
function Job:dead_letters()
  return stream.of(self, 0, "dead_letters", "dead_letters")
end

-- Description ---------------------------------------------------------------------------------------------------

local function plain(value)
  if type(value) == "function" then return "function" end
  if type(value) ~= "table" then return value end
  if rawget(value, "kind") == "schema" then return value.text end
  local out = {}
  for name, member in pairs(value) do
    out[name] = plain(member)
  end
  return out
end

local function describe_component(self)
  local connector = self.connector
  return {
    name = self.name, kind = self.kind, op = self.op, parallelism = self.options.parallelism,
    schema = self.schema and self.schema.text, state = self.state_schema and self.state_schema.text,
    where = self.where, single = self.single, keyed = self.keyed, custom = self.operator ~= nil,
    connector = connector and { type = connector.type, options = plain(connector.options) },
    options = plain(self.options), inputs = plain(self.inputs),
  }
end

--- The job as plain data, without functions: equal in every Lua state that builds the same job.
---
---     job:describe().components[1].name   --> "transactions"
---@return { name: string, settings: swlua.Settings, components: table[] }
function Job:describe()
  local components = {}
  for i, each in ipairs(self.components) do
    components[i] = describe_component(each)
  end
  return { name = self.name, settings = plain(self.settings), components = components }
end

local function by_number_then_text(a, b)
  if type(a) == type(b) then return a < b end
  return type(a) == "number"
end

local function write_lines(lines, path, value)
  if type(value) ~= "table" then
    local text = type(value) == "number" and ("%.17g"):format(value) or check.quoted(value)
    lines[#lines + 1] = path .. " = " .. text
    return
  end
  local names = {}
  for name in pairs(value) do
    names[#names + 1] = name
  end
  table.sort(names, by_number_then_text)
  for _, name in ipairs(names) do
    write_lines(lines, path .. (path == "" and "" or ".") .. tostring(name), value[name])
  end
end

--- The description as canonical text, one `path = value` line each: two states built the same job when theirs are
--- equal, and else the first differing line says where they part.
---
---     job:fingerprint():match("[^\n]*")   --> components.1.custom = false
---@return string
function Job:fingerprint()
  local lines = {}
  write_lines(lines, "", self:describe())
  return table.concat(lines, "\n")
end

-- What a guarantee asks for ------------------------------------------------------------------------------------------

local REWINDABLE = { file = true, generator = true, log = true }

--- Why a source cannot go back to a checkpoint's position, and what would help; nil where it can.
local function rewind_fault(source)
  local connector = source.connector
  if not connector then
    if source.operator.get_state then return nil end
    return "it has no get_state, so it cannot go back to where it was"
  end
  if REWINDABLE[connector.type] or source.options.journal then return nil end
  return "its input cannot be read again: give it journal = true, or write it to an event log first (sw.from.log)"
end

--- Checks the job against the delivery it asks for, once that is settled: sources that cannot be rewound are problems.
function Job:check_delivery()
  local settings = self.settings
  if settings.delivery == "at-most-once" or not settings.checkpoint.enabled then return end
  for _, each in ipairs(self.components) do
    local fault = each.kind == "source" and rewind_fault(each)
    if fault then
      local text = ('%s: delivery "%s" needs a source that can be rewound: %s'):format(component.subject(each.name),
        self.settings.delivery, fault)
      check.problem(text, each.where)
    end
  end
end

local TRANSACTIONAL = { file = true, log = true, store = true, null = true }

--- Sinks that can show an event twice after a crash, where the job asks for exactly once.
local function repeating_sinks(self)
  local names = {}
  for _, each in ipairs(self.components) do
    if each.kind == "sink" then
      local operator, connector = each.operator, each.connector
      local can = operator and operator.prepare and operator.commit or connector and TRANSACTIONAL[connector.type]
      if not can then names[#names + 1] = each.name end
    end
  end
  return names
end

-- The graph as a whole ------------------------------------------------------------------------------------------

local function reaching_a_sink(components)
  local reaching = {}
  for i = #components, 1, -1 do -- An input is always older than what reads it.
    local each = components[i]
    if each.kind == "sink" or reaching[i] then
      for _, input in ipairs(each.inputs) do
        reaching[input.from] = true
      end
    end
  end
  return reaching
end

--- What is doubtful, though it can run: components whose events reach no sink, sinks that cannot keep the guarantee.
---
---     for _, w in ipairs(job:warnings()) do io.stderr:write(w.file, ":", w.line, ": ", w.text, "\n") end
---@return swlua.Problem[]
function Job:warnings()
  local warnings, reaching = {}, reaching_a_sink(self.components)
  for i, each in ipairs(self.components) do
    if each.kind ~= "sink" and not reaching[i] then
      local text = component.subject(each.name) .. ": what it emits reaches no sink"
      warnings[#warnings + 1] = check.problem_at(each.where, text)
    end
  end
  local repeating = self.settings.delivery == "exactly-once" and repeating_sinks(self) or {}
  if #repeating > 0 then
    local text = "%s: after a crash these sinks may show events twice (at-least-once): %s"
    warnings[#warnings + 1] = check.problem_at(self.where, text:format(tostring(self), table.concat(repeating, ", ")))
  end
  return warnings
end

--- Checks what can be said only when the script has ended.
function Job:validate()
  for _, each in ipairs(self.components) do
    if each.kind == "source" then return end
  end
  check.problem(("%s has no source"):format(tostring(self)), self.where)
end

--- The job that a script returned, validated; what else it may have returned is a problem of the script.
---@param value any what the script returned
---@param file string the script
---@return swlua.Job?
function M.from_script(value, file)
  if not M.is_job(value) then
    local got = stream.is_stream(value) and "a stream" or value == nil and "nothing" or check.show(value)
    check.problem(("the script must return its job (return job), it returned %s"):format(got), file)
    return nil
  end
  value:validate()
  return value
end

return M
