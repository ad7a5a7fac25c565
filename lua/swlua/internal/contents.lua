--- What windows are filled with: named aggregates, one event reduced of all, a folded value, or the events themselves.
--
--   new() -> acc                                     a plain table, so that it can be saved
--   operator(find, after, time_of) -> apply          adds events to the acc that find(state, time, event) gives, then
--                                                    calls after(state, acc, where, time, event) if there is such
--   merge(a, b)                                      a takes in what b has, which goes on as it is; nil: it cannot
--   is_void(acc)                                     has it no event? (an error can leave it so); nil: never
--   emitter(w) -> emit(acc, first, last, time, kind, replaces, count)
--                                                    sends what a window gives; w: see internal/windows.lua
local accumulators = require("swlua.internal.accumulators")
local values = require("swlua.values")
local copy = values.copy

local M = {}

--- An event that may be kept.
local function own(event)
  if type(event) == "cdata" then return values.table(event) end
  return event
end

--- Fields of a row that not all windows have.
local function marked(row, kind, replaces, count)
  if kind then row.window_state = kind end
  if replaces then row.replaces = replaces end
  if count then row.window_count = count end
  return row
end

local function adding(add)
  return function(find, after, time_of)
    return function(event, _, state)
      local time = time_of()
      local acc, where = find(state, time, event)
      if acc == nil then return end
      add(acc, event, time)
      if after then after(state, acc, where, time, event) end
    end
  end
end

--- Puts the key's fields into a row that lacks them.
local function with_key(row, key, fields)
  for i, name in ipairs(fields) do
    local v = key
    if #fields > 1 then v = key[i] end
    if row[name] == nil then row[name] = v end
  end
  return row
end

--- Named aggregators.
function M.aggregated(spec, key_fields)
  local content = accumulators.compile(spec.fields, key_fields, spec.key.fields ~= nil)
  content.emitter = function(w)
    local out, key_of, row_of = w.out, w.key_of, content.row
    return function(acc, first, last, time, kind, replaces, count)
      local row = row_of(key_of(), first, last, acc)
      out:emit(marked(row, kind, replaces, count), time)
    end
  end
  return content
end

--- Events reduced to one by fn(a, b).
function M.reduced(spec)
  local fn = spec.fn
  local function take(acc, event)
    if acc[1] == false then
      acc[1] = own(event)
      return
    end
    local result = own(fn(acc[1], event))
    if type(result) ~= "table" then error("reduce: the function returned no event", 0) end
    acc[1] = result
  end
  return {
    new = function() return { false } end,
    operator = adding(take),
    merge = function(a, b)
      if b[1] ~= false then take(a, copy(b[1])) end
    end,
    is_void = function(acc) return acc[1] == false end,
    emitter = function(w)
      local out = w.out
      return function(acc, first, last, time, kind, replaces, count)
        local row = copy(acc[1])
        row.window_start, row.window_end = first, last
        out:emit(marked(row, kind, replaces, count), time)
      end
    end,
  }
end

--- What functions of the user are told of a window.
local function window_of(w, first, last, kind, replaces, count)
  return marked({ key = w.key_of(), window_start = first, window_end = last }, kind, replaces, count)
end

local function fold_emitter(spec, key_fields, value_of)
  return function(w)
    local out, row_of = w.out, spec.row
    return function(acc, first, last, time, kind, replaces, count)
      local row = value_of(acc)
      if row_of then
        row = row_of(row, window_of(w, first, last, kind, replaces, count))
        if row ~= nil then out:emit(row, time) end
        return
      end
      row = with_key(type(row) == "table" and row or { value = row }, w.key_of(), key_fields)
      row.window_start, row.window_end = first, last
      out:emit(marked(row, kind, replaces, count), time)
    end
  end
end

local function step(spec, value, event)
  local result = spec.fn(value, event)
  if result == nil then error("fold: the function returned nil", 0) end
  return result
end

--- Events folded from init() by fn(acc, event): { value, is there one? }.
function M.folded(spec, key_fields)
  return {
    new = function() return { false, false } end,
    operator = adding(function(acc, event)
      if not acc[2] then acc[1], acc[2] = spec.init(), true end
      acc[1] = own(step(spec, acc[1], event))
    end),
    merge = spec.merge and function(a, b)
      if not b[2] then return end
      local result = copy(b[1])
      if a[2] then result = spec.merge(a[1], result) end
      if result == nil then error("fold: merge returned nil", 0) end
      a[1], a[2] = result, true
    end,
    is_void = function(acc) return not acc[2] end,
    emitter = fold_emitter(spec, key_fields, function(acc) return copy(acc[1]) end),
  }
end

--- Events kept: { time, event, time, event, ... }.
local function kept()
  return {
    new = function() return {} end,
    operator = adding(function(acc, event, time)
      local n = #acc
      acc[n + 1], acc[n + 2] = time, own(event)
    end),
    merge = accumulators.append,
    is_void = function(acc) return acc[1] == nil end,
  }
end

--- Folded where panes or sessions have to be merged, and no function does it: events are kept, and folded when a row
--- is due, in order of time.
function M.replayed(spec, key_fields)
  local content = kept()
  content.emitter = fold_emitter(spec, key_fields, function(acc)
    local value = spec.init()
    for _, event in ipairs(accumulators.in_order(acc, true)) do value = step(spec, value, event) end
    return value
  end)
  return content
end

local function no_timers() error("a window's function has no timers", 2) end

--- `out` of a window's function.
local function outlet(out)
  local own_members = { timer = no_timers, processing_timer = no_timers, cancel = no_timers }
  return setmetatable(own_members, { __index = function(_, name) return out[name] end })
end

--- Events kept for fn(window, events, out), in order of time.
function M.processed(spec)
  local content = kept()
  content.emitter = function(w)
    local fn, out, moment = spec.fn, outlet(w.out), w.x.moment
    return function(acc, first, last, time, kind, replaces, count)
      local window, events = window_of(w, first, last, kind, replaces, count), accumulators.in_order(acc, true)
      local before = moment.time
      moment.time = time
      fn(window, events, out)
      moment.time = before
    end
  end
  return content
end

--- The content of a component.
---@param spec { kind: "aggregate"|"reduce"|"fold"|"process" } and what its call was given
---@param must_merge boolean its accumulators have to be merged
function M.of(spec, key_fields, must_merge)
  if spec.kind == "aggregate" then return M.aggregated(spec, key_fields) end
  if spec.kind == "reduce" then return M.reduced(spec) end
  if spec.kind == "process" then return M.processed(spec) end
  if must_merge and not spec.merge then return M.replayed(spec, key_fields) end
  return M.folded(spec, key_fields)
end

return M
