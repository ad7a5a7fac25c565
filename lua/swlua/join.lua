--- Tables and joins: what `stream:table` and `stream:join` build. The operators themselves are internal/joins.lua.
---
---     stream ──table(key)──► Table ──changes()──► Stream
---     left ──join(right, { on, type, ... })──► Stream, or a Table of two Tables
local check = require("swlua.check")
local component = require("swlua.component")
local joins = require("swlua.internal.joins")

---@class swlua.join
local M = {}

---@class swlua.Table a materialized view: the latest row of each key
---@field _stream swlua.Stream its changes
---@field _key string|string[]|function
local Table = {}

local meta = { __index = check.members(Table, "tables have no method", {}) }

meta.__tostring = function(self)
  return "table of " .. tostring(self._stream)
end

--- Is this a Table?
---@param value any
---@return boolean
function M.is_table(value)
  return getmetatable(value) == meta
end

local function new_table(stream, key)
  return setmetatable({ _stream = stream, _key = key }, meta)
end

--- Its changes as a stream: rows as they become the latest of their key, and rows that go, with `deleted = true`.
---
---     prices:changes():to("prices", sw.to.file("prices.jsonl"))
---@return swlua.Stream
function Table:changes()
  return self._stream
end

-- Checking ---------------------------------------------------------------------------------------------------------

local function signed_duration(value)
  if type(value) ~= "string" then return nil end
  local ms = check.rule.duration(value:match("^[-+]?(.*)$"))
  return ms and value:sub(1, 1) == "-" and -ms or ms
end

local function within_rule(value)
  local expected = 'two durations, such as { "-5s", "5s" }: right is within left + [first, second]'
  if type(value) ~= "table" or #value ~= 2 then return nil, expected end
  local lower, upper = signed_duration(value[1]), signed_duration(value[2])
  if not lower or not upper or lower > upper then return nil, expected end
  return { lower = lower, upper = upper }
end

local function window_rule(value)
  local is_window = type(value) == "table" and rawget(value, "kind") == "timed"
  if not is_window then return nil, "a window by time: sw.tumbling(...) or sw.sliding(...)" end
  if value.is_by_clock or value.every_ms or value.every_count then
    return nil, "a window by event time, without early rows"
  end
  return value
end

local function key_rule(value)
  if type(value) == "string" and value ~= "" or type(value) == "function" then return value end
  return nil
end

local function on_rule(value)
  if key_rule(value) then return { value, value } end
  if type(value) == "table" and #value == 2 and key_rule(value[1]) and key_rule(value[2]) then return value end
  return nil, "a field, two fields { left, right }, or two functions { of_left, of_right }"
end

local PLACE = {
  on_error = { rule = component.on_error_rule },
  parallelism = { rule = component.parallelism_rule },
  queue = { rule = component.queue_rule },
}

local function spec_of(own)
  for name, entry in pairs(PLACE) do own[name] = entry end
  return own
end

local TABLE = spec_of({
  tombstone = { rule = check.rule.func },
  ttl = { rule = check.rule.positive_duration, to = "ttl_ms" },
})

local JOIN = spec_of({
  as_of = { rule = check.rule.boolean },
  lateness = { rule = check.rule.duration, to = "lateness_ms" },
  on = { rule = on_rule },
  row = { rule = check.rule.func },
  schema = { rule = check.rule.schema },
  ttl = { rule = check.rule.positive_duration, to = "ttl_ms" },
  type = { rule = check.one_of({ "inner", "left", "right", "full" }) },
  window = { rule = window_rule },
  within = { rule = within_rule },
})

local function place_of(spec)
  return { on_error = spec.on_error, parallelism = spec.parallelism, queue = spec.queue, schema = spec.schema }
end

-- Tables -----------------------------------------------------------------------------------------------------------

local function is_deleted(event)
  return event.deleted == true
end

--- Where a schema has no such field nothing is deleted: reading it would be an error.
local function tombstone_of(stream, given)
  if given then return given end
  for _, input in ipairs(stream._inputs) do
    local schema = component.schema_of(stream._job, { input })
    if schema and not schema.text:find("deleted", 1, true) then
      return function() return false end
    end
  end
  return is_deleted
end

--- Makes a Table: see Stream:table.
function M.table(stream, name, key, options)
  local spec = check.options(component.subject(name), options, TABLE)
  local operator = joins.table({ tombstone = tombstone_of(stream, spec.tombstone), ttl_ms = spec.ttl_ms })
  return new_table(stream:key_by(key):apply(name, operator, place_of(spec)), key)
end

-- Joins ------------------------------------------------------------------------------------------------------------

--- The inputs of both sides in one stream; out.from is the side's name.
local function both_sides(left, right)
  local stream = require("swlua.stream")
  local inputs = {}
  for side, from in pairs({ left = left, right = right }) do
    for _, input in ipairs(from._inputs) do
      inputs[#inputs + 1] = { from = input.from, output = input.output, grouping = input.grouping, stream = side }
    end
  end
  table.sort(inputs, function(a, b)
    if a.stream ~= b.stream then return a.stream < b.stream end
    return a.from < b.from
  end)
  return stream.new(left._job, inputs)
end

--- Does an event have a key? nil meets nothing.
local function has_key(key)
  if type(key) == "function" then
    return function(event) return key(event) ~= nil end
  end
  local fields = type(key) == "table" and key or { key }
  local first, count = fields[1], #fields
  return function(event)
    for i = 2, count do
      if event[fields[i]] == nil then return false end
    end
    return event[first] ~= nil
  end
end

local function refuse(subject, spec, names, why)
  for _, name in ipairs(names) do
    if spec[name] ~= nil then check.problem(("%s: %s %s"):format(subject, why, name:gsub("_ms$", ""))) end
  end
end

local function stream_and_table(subject, left, right, spec)
  refuse(subject, spec, { "window", "within", "ttl_ms" }, "a join with a table takes no")
  if type(spec.on[1]) ~= type(spec.on[2]) or spec.on[1] ~= spec.on[2] then
    check.problem(('%s: "on" names the left stream\'s key only: the table has its own'):format(subject))
  end
  if spec.as_of and (spec.type == "right" or spec.type == "full") then
    check.problem(('%s: an as-of join is "inner" or "left": versions of a table are not rows'):format(subject))
  end
  spec.has_key = { left = has_key(spec.on[1]), right = has_key(right._key) }
  local operator = spec.as_of and joins.as_of(spec) or joins.stream_table(spec)
  return operator, left:key_by(spec.on[1]), right._stream:key_by(right._key)
end

local function stream_and_stream(subject, left, right, spec)
  refuse(subject, spec, { "as_of", "lateness_ms" }, "a join of two streams takes no")
  if spec.window and spec.within then
    check.problem(('%s: either "window" or "within", not both'):format(subject))
  end
  local make = spec.window and joins.windowed or spec.within and joins.within or joins.unbounded
  spec.has_key = { left = has_key(spec.on[1]), right = has_key(spec.on[2]) }
  if spec.within then spec.lower_ms, spec.upper_ms = spec.within.lower, spec.within.upper end
  return make(spec), left:key_by(spec.on[1]), right:key_by(spec.on[2])
end

local function table_and_table(subject, left, right, spec)
  refuse(subject, spec, { "on", "window", "within", "as_of", "lateness_ms", "ttl_ms" }, "a join of two tables takes no")
  spec.has_key = { left = has_key(left._key), right = has_key(right._key) }
  return joins.table_table(spec), left._stream:key_by(left._key), right._stream:key_by(right._key)
end

local function job_of(side)
  return (M.is_table(side) and side._stream or side)._job
end

--- What `right` may be: fatal where it is neither, or of another job.
local function check_sides(subject, left, right)
  local stream = require("swlua.stream")
  if not stream.is_stream(right) and not M.is_table(right) then
    check.fatal(("%s: join with what? Expected a stream or a table, got %s"):format(subject, check.show(right)))
  end
  if job_of(left) ~= job_of(right) then
    check.fatal(('%s: the sides are of two jobs, "%s" and "%s"'):format(subject, job_of(left).name, job_of(right).name))
  end
end

--- Joins two sides: see Stream:join and Table:join.
function M.join(left, name, right, given)
  local subject = component.subject(name)
  check_sides(subject, left, right)
  local spec = check.options(subject, given, JOIN)
  spec.type = spec.type or "inner"
  local are_tables = M.is_table(left) and M.is_table(right)
  if not spec.on and not are_tables then
    if given == nil or given.on == nil then check.problem(('%s: a join needs "on"'):format(subject)) end
    spec.on = { "unknown", "unknown" }
  end
  if M.is_table(left) and not are_tables then
    check.fatal(("%s: a table joins a table; for a row per event let the stream join the table"):format(subject))
  end
  local build = are_tables and table_and_table or M.is_table(right) and stream_and_table or stream_and_stream
  local operator, l, r = build(subject, left, right, spec)
  local joined = both_sides(l, r):apply(name, operator, place_of(spec))
  return are_tables and new_table(joined, left._key) or joined
end

--- Table and Table: the joined rows, a Table itself.
---
---     local both = users:join("user-scores", scores, { type = "left" })
---@param name string
---@param other swlua.Table
---@param spec swlua.JoinSpec?
---@return swlua.Table
function Table:join(name, other, spec)
  return M.join(self, name, other, spec)
end

return M
