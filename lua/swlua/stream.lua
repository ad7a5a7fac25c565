--- Streams: what components emit, and the calls that put components behind them.
---
---     stream = inputs { component, output, grouping } ... of one job
---
--- A stream is a value: a grouping gives a new stream and leaves the old one as it was. A keyed stream is one whose
--- inputs are all grouped by key.
local check = require("swlua.check")
local component = require("swlua.component")
local operator = require("swlua.operator")

---@class swlua.stream
local M = {}

---@class swlua.Stream
---@field _job swlua.Job
---@field _inputs swlua.Input[]
local Stream = {}

local meta = { __index = check.members(Stream, "streams have no method", {}) }

--- Is this a stream?
---@param value any
---@return boolean
function M.is_stream(value)
  return getmetatable(value) == meta
end

--- Makes a stream of inputs.
---@param job swlua.Job
---@param inputs swlua.Input[]
---@return swlua.Stream
function M.new(job, inputs)
  return setmetatable({ _job = job, _inputs = inputs }, meta)
end

local FORWARD = { kind = "forward" }

--- The stream of one output of a component.
---@param job swlua.Job
---@param from integer index of the component, or 0
---@param name string as out.from tells it
---@param output string
---@return swlua.Stream
function M.of(job, from, name, output)
  return M.new(job, { { from = from, output = output, grouping = FORWARD, stream = name } })
end

meta.__tostring = function(self)
  local names = {}
  for i, input in ipairs(self._inputs) do
    names[i] = input.stream
  end
  return "stream " .. table.concat(names, " + ")
end

local function check_self(self, method)
  if M.is_stream(self) then return end
  check.fatal(("%s is called with a colon: stream:%s(...)"):format(method, method))
end

local function add(self, part)
  local inputs = {}
  for i, input in ipairs(self._inputs) do
    inputs[i] = { from = input.from, output = input.output, grouping = input.grouping, stream = input.stream }
  end
  part.inputs = inputs
  return component.add(self._job, part)
end

local function add_operator(self, part)
  part.kind = "operator"
  local added = add(self, part)
  return M.of(self._job, added.index, added.name, "default")
end

-- Operators -----------------------------------------------------------------------------------------------------

--- One event out for each event in.
---
---     prices:map("euros", function(event) return { euros = event.cents / 100 } end)
---@param name string
---@param fn fun(event: table): table
---@param options swlua.OperatorOptions?
---@return swlua.Stream
function Stream:map(name, fn, options)
  check_self(self, "map")
  fn = component.checked_function(name, fn)
  return add_operator(self, { op = "map", name = name, fn = fn, options = options })
end

--- Keeps the events for which `fn` is true.
---
---     rows:filter("large", function(event) return event.amount > 1000 end)
---@param name string
---@param fn fun(event: table): any
---@param options swlua.ComponentOptions?
---@return swlua.Stream
function Stream:filter(name, fn, options)
  check_self(self, "filter")
  fn = component.checked_function(name, fn)
  return add_operator(self, { op = "filter", name = name, fn = fn, options = options })
end

--- Zero or more events out for each event in.
---
---     lines:flat_map("words", function(event, emit)
---       for word in event.line:gmatch("%a+") do emit({ word = word }) end
---     end)
---@param name string
---@param fn fun(event: table, emit: fun(event: table, time: integer?))
---@param options swlua.OperatorOptions?
---@return swlua.Stream
function Stream:flat_map(name, fn, options)
  check_self(self, "flat_map")
  fn = component.checked_function(name, fn)
  return add_operator(self, { op = "flat_map", name = name, fn = fn, options = options })
end

--- A custom operator: a table of functions, or its `apply` alone.
---
---     rows:key_by("card"):apply("running", function(event, out, state)
---       state.n = (state.n or 0) + 1
---       out:emit({ card = event.card, n = state.n })
---     end)
---@param name string
---@param operator_or_fn swlua.Operator|fun(event: table, out: swlua.Collector, state: table?)
---@param options swlua.ApplyOptions?
---@return swlua.Stream
function Stream:apply(name, operator_or_fn, options)
  check_self(self, "apply")
  if type(operator_or_fn) == "table" then
    operator.check(component.subject(name), "operator", operator_or_fn)
    return add_operator(self, { op = "apply", name = name, operator = operator_or_fn, options = options })
  end
  local fn = component.checked_function(name, operator_or_fn, "a function or a table of functions")
  return add_operator(self, { op = "apply", name = name, fn = fn, options = options })
end

--- Assigns event time, and watermarks, downstream of a source.
---
---     rows:event_time("when", "ts", { max_delay = "2s" })
---@param name string
---@param time string|fun(event: table): integer?
---@param options { max_delay: string?, idle: string|table?, max_ahead: string? }?
---@return swlua.Stream
function Stream:event_time(name, time, options)
  check_self(self, "event_time")
  local result, expected = check.rule.field_or_function(time)
  if expected ~= nil then
    local text = "%s: the time must be %s, got %s"
    check.problem(text:format(component.subject(name), expected, check.show(time)))
  end
  return add_operator(self, { op = "event_time", name = name, time = result, options = options })
end

-- Windows -----------------------------------------------------------------------------------------------------------

--- Cuts the stream into windows, per key where it is keyed.
---
---     rows:key_by("card"):window(sw.sliding("1m", "10s")):aggregate("spending", { total = sw.sum("amount") })
---@param window swlua.Window
---@return swlua.Windowed
function Stream:window(window)
  check_self(self, "window")
  return require("swlua.window").window(self, window)
end

--- Aggregates without a window: with every event its key's updated row.
---
---     rows:key_by("card"):aggregate("balance", { total = sw.sum("amount") })
---@param name string
---@param fields table<string, swlua.Aggregator>
---@param options swlua.OperatorOptions?
---@return swlua.Stream
function Stream:aggregate(name, fields, options)
  check_self(self, "aggregate")
  return require("swlua.window").running(self, name, fields, options)
end

-- Tables and joins --------------------------------------------------------------------------------------------------

--- A materialized view: the latest row of each key. An event with `deleted = true`, or for which `tombstone` is true,
--- removes its key; so does `ttl` after the row's time.
---
---     local prices = ticks:table("prices", "symbol", { ttl = "1d" })
---@param name string
---@param key string|string[]|fun(event: table): any
---@param options { ttl: string?, tombstone: (fun(event: table): any)?, parallelism: integer? }?
---@return swlua.Table
function Stream:table(name, key, options)
  check_self(self, "table")
  return require("swlua.join").table(self, name, key, options)
end

--- Joins this stream with a Table (a row per event of this stream) or another stream (a row per pair).
---
---     orders:join("priced", prices, { on = "symbol", type = "left" })
---     clicks:join("seen", views, { on = "user", within = { "-10m", "0s" } })
---@param name string
---@param other swlua.Stream|swlua.Table
---@param spec swlua.JoinSpec
---@return swlua.Stream
function Stream:join(name, other, spec)
  check_self(self, "join")
  return require("swlua.join").join(self, name, other, spec)
end

-- Outputs and groupings -------------------------------------------------------------------------------------------

--- A named output of the component that made this stream.
---
---     transactions:output("malformed"):to("bad", sw.to.file("bad.jsonl"))
---@param name string
---@return swlua.Stream
function Stream:output(name)
  check_self(self, "output")
  local fault = component.name_fault(name, "output")
  if fault ~= nil then
    check.problem(fault)
    return self
  end
  local input = self._inputs[1]
  if #self._inputs ~= 1 or input.from == 0 then
    check.problem(('output "%s": %s has no named outputs, only a component has'):format(name, tostring(self)))
    return self
  end
  local from = self._job.components[input.from].name
  return M.of(self._job, input.from, name == "default" and from or from .. ":" .. name, name)
end

local function grouped(self, kind, fields, fn)
  local grouping = { kind = kind, fields = fields, fn = fn, where = check.where() }
  local inputs = {}
  for i, input in ipairs(self._inputs) do
    inputs[i] = { from = input.from, output = input.output, grouping = grouping, stream = input.stream }
  end
  return M.new(self._job, inputs)
end

local function key_fields(key)
  local fields = type(key) == "table" and key or { key }
  local seen, count = {}, 0
  for _ in pairs(fields) do
    count = count + 1
  end
  for _, field in ipairs(fields) do
    if type(field) ~= "string" or field == "" or seen[field] then return nil end
    seen[field] = true
  end
  return count == #fields and count > 0 and { unpack(fields) } or nil
end

--- Groups by key: equal keys meet in one instance, which keeps state per key.
---
---     rows:key_by("card")     rows:key_by({ "city", "street" })
---     rows:key_by(function(event) return event.card:sub(1, 6) end)
---@param key string|string[]|fun(event: table): any
---@param ... any nothing
---@return swlua.Stream keyed
function Stream:key_by(key, ...)
  check_self(self, "key_by")
  if select("#", ...) > 0 then
    check.problem("key_by takes one argument; several fields are a list: key_by({ \"a\", \"b\" })")
  end
  if type(key) == "function" then return grouped(self, "key", nil, key) end
  local fields = key_fields(key)
  if fields == nil then
    local text = "key_by: expected a field name, a list of different field names or a function, got %s"
    check.problem(text:format(check.show(key)))
    fields = {}
  end
  for _, input in ipairs(self._inputs) do
    operator.check_fields("key_by on " .. input.stream, component.schema_of(self._job, { input }), fields)
  end
  return grouped(self, "key", fields)
end

local function no_arguments(method, ...)
  if select("#", ...) > 0 then check.problem(("%s takes no arguments, got %s"):format(method, check.show((...)))) end
end

--- Deals the events out to the instances in turn.
---@param ... any nothing
---@return swlua.Stream
function Stream:shuffle(...)
  check_self(self, "shuffle")
  no_arguments("shuffle", ...)
  return grouped(self, "shuffle")
end

--- Gives every instance each event.
---@param ... any nothing
---@return swlua.Stream
function Stream:broadcast(...)
  check_self(self, "broadcast")
  no_arguments("broadcast", ...)
  return grouped(self, "broadcast")
end

--- Gives all events to instance 0.
---@param ... any nothing
---@return swlua.Stream
function Stream:global(...)
  check_self(self, "global")
  no_arguments("global", ...)
  return grouped(self, "global")
end

--- Your own grouping: the function says which instance, 0 .. n-1.
---
---     rows:partition(function(event, n) return event.shard % n end)
---@param fn fun(event: table, n: integer): integer
---@return swlua.Stream
function Stream:partition(fn)
  check_self(self, "partition")
  if type(fn) ~= "function" then
    check.problem(("partition: expected a function (event, n), got %s"):format(check.show(fn)))
    fn = function()
      return 0
    end
  end
  return grouped(self, "partition", nil, fn)
end

-- Ends ----------------------------------------------------------------------------------------------------------

-- What sinks write that only one may write: type of connector -> option that names it.
local OWN = { file = "path", log = "name" }

local function check_own(job, name, connector)
  local option = connector ~= nil and OWN[connector.type]
  if not option then return end
  local kind, which = connector.type, connector.options[option]
  local other = job._written[kind .. ":" .. which]
  if other ~= nil then
    local text = '%s: the %s "%s" is written by component "%s" too (sw.union makes one stream of several)'
    check.problem(text:format(component.subject(name), kind, which, other))
  end
  job._written[kind .. ":" .. which] = name
end

--- Ends in a sink: a connector from sw.to, or a table of functions.
---
---     alerts:to("alerts", sw.to.file("alerts.jsonl"))
---@param name string
---@param sink swlua.Connector|swlua.Sink
---@param options swlua.ComponentOptions?
function Stream:to(name, sink, options)
  check_self(self, "to")
  local connector, custom = component.connector_or_table(component.subject(name), "sink", sink)
  check_own(self._job, name, connector)
  add(self, { op = "sink", kind = "sink", name = name, connector = connector, operator = custom, options = options })
end

--- Ends on standard output, one JSON line an event.
---
---     totals:print()      --> {"card":"c1","n":3}
---@param label string? name of the component; default "print"
function Stream:print(label)
  check_self(self, "print")
  if label ~= nil and component.name_fault(label, "component") ~= nil then
    check.problem(component.name_fault(label, "component"))
    label = nil
  end
  local name = component.unused_name(self._job, label or "print")
  add(self, { op = "sink", kind = "sink", name = name, connector = require("swlua.to").stdout() })
end

-- Union ---------------------------------------------------------------------------------------------------------

--- Fan-in: one stream of all events of several, which belong to one job.
---
---     sw.union(bridge_a, bridge_b):map("axles", count_axles)
---@param ... swlua.Stream
---@return swlua.Stream
function M.union(...)
  local job, inputs = nil, {}
  for i = 1, select("#", ...) do
    local stream = select(i, ...)
    if not M.is_stream(stream) then
      check.problem(("sw.union: argument %d must be a stream, got %s"):format(i, check.show(stream)))
    elseif job ~= nil and stream._job ~= job then
      local text = 'sw.union: %s is of job "%s", and the others are of job "%s"'
      check.problem(text:format(tostring(stream), stream._job.name, job.name))
    else
      job = stream._job
      for _, input in ipairs(stream._inputs) do
        inputs[#inputs + 1] = input
      end
    end
  end
  if job == nil then check.fatal("sw.union: expected streams, got none") end
  return M.new(job, inputs)
end

return M
