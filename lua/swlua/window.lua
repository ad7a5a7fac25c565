--- Windows: sw.tumbling and the like, and what `stream:window(w)` gives. The operators are internal/windows.lua.
---
---     stream ──window(w)──► Windowed ──aggregate, reduce, fold, process──► Stream
local aggregate = require("swlua.aggregate")
local check = require("swlua.check")
local component = require("swlua.component")
local operator = require("swlua.operator")

---@class swlua.window
local M = {}

---@class swlua.Window
---@field kind "timed"|"session"|"unbounded"|"counted"|"sliding_count"|"running"
---@field merges boolean accumulators of several panes or sessions become one
local window_meta = { __name = "window" }
window_meta.__tostring = function(self) return "window " .. self.kind end

local function every_rule(value)
  local n = check.integer(1, 2 ^ 31)(value)
  if n then return { count = n } end
  local ms = check.rule.positive_duration(value)
  if ms then return { ms = ms } end
  return nil, 'a duration such as "1s", or a number of events'
end

local OPTIONS = {
  every = { rule = every_rule },
  lateness = { rule = check.rule.duration, to = "lateness_ms" },
  processing_time = { rule = check.rule.boolean, to = "is_by_clock" },
}

--- Options without those of windows of another kind.
local function allowed_options(subject, options, allowed, reason)
  local out = {}
  for name, value in pairs(options) do
    local is_known = not OPTIONS[name]
    for _, one in ipairs(allowed) do is_known = is_known or one == name end
    if is_known then out[name] = value else check.problem(("%s: %s takes no %s"):format(subject, reason, name)) end
  end
  return out
end

local BY_TIME, NONE = { "every", "lateness", "processing_time" }, {}
local REASONS = {
  counted = "a window by count", sliding_count = "a window by count", unbounded = "a window without end",
}

local function new(kind, subject, window, options, allowed)
  local spec = {}
  for _, name in ipairs(allowed) do spec[name] = OPTIONS[name] end
  if type(options) == "table" then options = allowed_options(subject, options, allowed, REASONS[kind]) end
  for name, value in pairs(check.options(subject, options, spec)) do window[name] = value end
  if window.every then
    window.every_ms, window.every_count, window.every = window.every.ms, window.every.count, nil
  end
  if window.is_by_clock and window.lateness_ms then
    check.problem(subject .. ": by the clock nothing is late: processing_time takes no lateness")
  end
  window.kind = kind
  return setmetatable(window, window_meta)
end

local function duration(subject, what, value, rule)
  local ms, expected = (rule or check.rule.positive_duration)(value)
  if ms then return ms end
  check.problem(("%s: the %s must be %s, got %s"):format(subject, what, expected, check.show(value)))
  return 1000
end

local function count(subject, what, value)
  local n, expected = check.integer(1, 2 ^ 31)(value)
  if n then return n end
  check.problem(("%s: the %s must be %s, got %s"):format(subject, what, expected, check.show(value)))
  return 1
end

--- Windows that follow on each other: of a duration, or of a number of events.
---
---     sw.tumbling("10s")    sw.tumbling("1d", "-1h")    sw.tumbling(100)    sw.tumbling("10s", { lateness = "5s" })
---@param length swlua.Duration|integer
---@param offset swlua.Duration? by which starts are moved from multiples of the length since the epoch
---@param options swlua.WindowOptions?
---@return swlua.Window
function M.tumbling(length, offset, options)
  local subject = "sw.tumbling"
  if type(offset) == "table" and options == nil then offset, options = nil, offset end
  if type(length) == "number" then
    if offset ~= nil then check.problem(subject .. ": a window by count takes no offset") end
    return new("counted", subject, { count = count(subject, "length", length) }, options, NONE)
  end
  local ms, offset_ms = duration(subject, "length", length), 0
  if offset ~= nil then
    local is_negative = type(offset) == "string" and offset:sub(1, 1) == "-"
    offset_ms = duration(subject, "offset", is_negative and offset:sub(2) or offset, check.rule.duration)
    offset_ms = (is_negative and -offset_ms or offset_ms) % ms
  end
  return new("timed", subject, { length_ms = ms, slide_ms = ms, offset_ms = offset_ms }, options, BY_TIME)
end

--- Windows that overlap: of a length, one every slide.
---
---     sw.sliding("1m", "10s")    sw.sliding(100, 10)    sw.sliding("1m", "10s", { every = "1s" })
---@param length swlua.Duration|integer
---@param slide swlua.Duration|integer at most the length
---@param options swlua.WindowOptions?
---@return swlua.Window
function M.sliding(length, slide, options)
  local subject = "sw.sliding"
  local is_count = type(length) == "number"
  local whole = is_count and count(subject, "length", length) or duration(subject, "length", length)
  local step = is_count and count(subject, "slide", slide) or duration(subject, "slide", slide)
  if step > whole then
    check.problem(("%s: a slide of %s is longer than the window, %s: events between windows would be lost")
      :format(subject, check.show(slide), check.show(length)))
  end
  if is_count then
    return new("sliding_count", subject, { count = whole, slide_count = step, merges = true }, options, NONE)
  end
  return new("timed", subject, { length_ms = whole, slide_ms = step, offset_ms = 0, merges = step < whole },
    options, BY_TIME)
end

--- Windows that end when nothing came for longer than a gap.
---
---     sw.session("30s")
---@param gap swlua.Duration
---@param options swlua.WindowOptions?
---@return swlua.Window
function M.session(gap, options)
  local window = { gap_ms = duration("sw.session", "gap", gap), merges = true }
  return new("session", "sw.session", window, options, BY_TIME)
end

--- One window of everything; fires by `every`, and when the input ends.
---
---     sw.unbounded({ every = "10s" })    sw.unbounded({ every = 1000 })
---@param options { every: swlua.Duration|integer, processing_time: boolean? }?
---@return swlua.Window
function M.unbounded(options)
  return new("unbounded", "sw.unbounded", {}, options, { "every", "processing_time" })
end

-- Windowed ---------------------------------------------------------------------------------------------------------

---@class swlua.Windowed a stream seen through windows
---@field _stream swlua.Stream keyed
---@field _key { fields: string[]?, fn: function? }
---@field _window swlua.Window
---@field _is_keyed boolean
local Windowed = {}

local meta = { __index = check.members(Windowed, "windows have no method", {}) }

-- What a component may be told, by what its state is bounded by: a window by time ends by itself.
local PLACE = {
  on_error = { rule = component.on_error_rule },
  parallelism = { rule = component.parallelism_rule },
  queue = { rule = component.queue_rule },
  schema = { rule = check.rule.schema },
}
local KEPT = { ttl = { rule = check.rule.positive_duration } }
local FOLD = { merge = { rule = check.rule.func } }
local HAS_TTL = { unbounded = true, counted = true, sliding_count = true, running = true }

local function nothing() return nil end

--- The stream keyed, and its key; an unkeyed one is of one key, nil, in one instance.
local function keyed(stream)
  if not component.is_keyed(stream._inputs) then return stream:key_by(nothing), { fields = {} }, false end
  local grouping = stream._inputs[1].grouping
  for _, input in ipairs(stream._inputs) do -- A union keyed by different names: rows show the key as `key`.
    local theirs = input.grouping.fields
    if not theirs or table.concat(theirs, "\0") ~= table.concat(grouping.fields or {}, "\0") then
      return stream, { fn = input.grouping.fn or nothing }, true
    end
  end
  return stream, { fields = grouping.fields }, true
end

--- See Stream:window.
function M.window(stream, window)
  if getmetatable(window) ~= window_meta then
    check.problem("window: expected a window such as sw.tumbling(\"10s\"), got " .. check.show(window))
    window = M.tumbling("10s")
  end
  local by_key, key, is_keyed = keyed(stream)
  return setmetatable({ _stream = by_key, _key = key, _window = window, _is_keyed = is_keyed }, meta)
end

local function options_of(name, windowed, spec, options)
  local known = {}
  for _, part in ipairs({ PLACE, HAS_TTL[windowed._window.kind] and KEPT or {}, spec.kind == "fold" and FOLD or {} }) do
    for option, entry in pairs(part) do known[option] = entry end
  end
  local subject = component.subject(name)
  local place = check.options(subject, options, known)
  if place.ttl then place.ttl = options.ttl end -- It is checked, and then read, once more.
  if not windowed._is_keyed then
    if place.parallelism and place.parallelism > 1 then
      check.problem(subject .. ": a window over all keys has one instance; key_by gives more")
    end
    place.parallelism = 1
  end
  spec.merge, place.merge = place.merge, nil
  return place
end

local function stand_in() error("the engine composes windows itself") end

--- Adds the component. `spec` says what fills the window (internal/contents.lua).
local function add(windowed, name, spec, options)
  local place = options_of(name, windowed, spec, options)
  spec.window, spec.key = windowed._window, windowed._key
  return windowed._stream:apply(name, { apply = stand_in, windowed = spec }, place)
end

local RESERVED = { window_start = true, window_end = true, window_state = true, window_count = true, replaces = true }
local FIELDS_MAX = 64

local function check_field(subject, taken, field, value)
  if type(field) ~= "string" or RESERVED[field] or taken[field] then
    return ('%s: a field cannot be named %s: that is the key\'s or the window\'s'):format(subject, check.show(field))
  end
  if aggregate.is_aggregator(value) then return nil end
  return ('%s: "%s" must be an aggregator, such as sw.count() or sw.sum("amount"), got %s'):format(subject, field,
    check.show(value))
end

--- { name, aggregator } of each of { field = aggregator }, in the order of their names.
local function fields_of(windowed, name, fields)
  local subject, list, taken = component.subject(name), {}, {}
  for _, field in ipairs(windowed._key.fields or { "key" }) do taken[field] = true end
  if type(fields) ~= "table" or next(fields) == nil then
    check.problem(('%s: expected aggregators by name, such as { n = sw.count() }, got %s')
      :format(subject, check.show(fields)))
    return list
  end
  local schema = component.schema_of(windowed._stream._job, windowed._stream._inputs)
  for _, field in ipairs(check.sorted_keys(fields)) do
    local value = fields[field]
    local problem = check_field(subject, taken, field, value)
    if problem then
      check.problem(problem)
    else
      if type(value.field) == "string" then operator.check_fields(subject, schema, { value.field }) end
      list[#list + 1] = { name = field, aggregator = value }
    end
  end
  if #list > FIELDS_MAX then
    check.problem(("%s: at most %d aggregators, got %d"):format(subject, FIELDS_MAX, #list))
  end
  return list
end

--- A row per window: the key's fields, window_start, window_end, and a field per aggregator.
---
---     w:aggregate("spending", { n = sw.count(), total = sw.sum("amount") })
---@param name string
---@param fields table<string, swlua.Aggregator>
---@param options swlua.OperatorOptions?
---@return swlua.Stream
function Windowed:aggregate(name, fields, options)
  return add(self, name, { kind = "aggregate", fields = fields_of(self, name, fields) }, options)
end

--- A row per window: its events made one by fn(a, b), with window_start and window_end. Where windows overlap or merge,
--- it does not matter which events meet first.
---
---     w:reduce("dearest", function(a, b) return b.price > a.price and b or a end)
---@param name string
---@param fn fun(a: table, b: table): table
---@param options swlua.OperatorOptions?
---@return swlua.Stream
function Windowed:reduce(name, fn, options)
  return add(self, name, { kind = "reduce", fn = component.checked_function(name, fn) }, options)
end

--- A row per window: init(), then acc = fn(acc, event) per event, then row(acc, window). Windows that overlap or merge
--- keep their events and fold them when they fire, unless the option `merge` makes one of two accumulators.
---
---     w:fold("longest", function() return { text = "" } end, function(acc, event)
---       if #event.text > #acc.text then acc.text = event.text end
---       return acc
---     end)
---@param name string
---@param init fun(): any
---@param fn fun(acc: any, event: table): any
---@param row (fun(acc: any, window: table): table?)? default: acc's fields with the key's and the window's
---@param options swlua.FoldOptions?
---@return swlua.Stream
function Windowed:fold(name, init, fn, row, options)
  if type(row) == "table" and options == nil then row, options = nil, row end
  init, fn = component.checked_function(name, init), component.checked_function(name, fn)
  if row ~= nil then row = component.checked_function(name, row) end
  return add(self, name, { kind = "fold", init = init, fn = fn, row = row }, options)
end

--- A call per window: fn(window, events, out), the events in order of time. `window` has key, window_start and
--- window_end.
---@param name string
---@param fn fun(window: table, events: table[], out: swlua.Collector)
---@param options swlua.OperatorOptions?
---@return swlua.Stream
function Windowed:process(name, fn, options)
  return add(self, name, { kind = "process", fn = component.checked_function(name, fn) }, options)
end

--- Running aggregates without a window: see Stream:aggregate.
function M.running(stream, name, fields, options)
  local by_key, key, is_keyed = keyed(stream)
  local all = { _stream = by_key, _key = key, _window = { kind = "running" }, _is_keyed = is_keyed }
  return add(all, name, { kind = "aggregate", fields = fields_of(all, name, fields) }, options)
end

return M
