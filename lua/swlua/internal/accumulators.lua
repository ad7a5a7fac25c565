--- Accumulators of named aggregators: code that is written for the aggregators a component has, so that what an event
-- does is one straight piece without a loop, a closure or a table of its own.
--
--     { n = sw.count(), total = sw.sum("amount") }    -->    acc = { 0, 0 }
--
--     local v1 = event["amount"]                      what is read of an event: once a field, checked once a kind
--     local acc, where = find(state, time, event)     a window's business
--     acc[1] = acc[1] + 1                             a slot or more an aggregator; equal ones share theirs
--     acc[2] = acc[2] + v1
--
-- An accumulator is a plain list without holes, so that it can be saved: false stands for nothing yet.
local each = require("swlua.internal.each")
local ffi = require("ffi")
local check = require("swlua.check")
local sketches = require("swlua.internal.sketches")
local values = require("swlua.values")
local type, floor, istype, setmetatable = type, math.floor, ffi.istype, setmetatable
local int64, uint64 = ffi.typeof("int64_t"), ffi.typeof("uint64_t")
local EXACT = 9007199254740992 -- 2^53: up to here numbers tell all integers apart

local M = {}

-- Reading ------------------------------------------------------------------------------------------------------------

local function refuse(who, what, v)
  error(("%s: expected %s, got %s"):format(who, what, check.show(v)), 0)
end

local function is_wide(v) return istype(int64, v) or istype(uint64, v) end

--- A number, or an integer beyond 2^53.
local function as_exact(v, who)
  if is_wide(v) then return v end
  return refuse(who, "a number", v)
end

local function as_number(v, who)
  if is_wide(v) then return tonumber(v) end
  return refuse(who, "a number", v)
end

local function as_finite(v, who)
  if type(v) ~= "number" then v = as_number(v, who) end
  if v - v ~= 0 then refuse(who, "a finite number", v) end
  return v
end

--- What has an order: numbers and strings. What fits int64 is one, so that signs compare.
local function as_ordered(v, who)
  if type(v) == "string" or istype(int64, v) then return v end
  if istype(uint64, v) then return v < 9223372036854775808ULL and ffi.cast(int64, v) or v end
  return refuse(who, "a number or a string", v)
end

--- A value as a key of a table: numbers and most strings by themselves, others by their text.
local function as_identity(v)
  local kind = type(v)
  if kind == "number" then return v == v and v or "\0nan" end
  if kind == "string" then return v:byte() == 0 and "\0" .. v or v end
  return "\0\0" .. values.str(v)
end

--- How a kind of value is made of `v`, which is not nil.
local READ = {
  exact = "if type(v) ~= 'number' then v = as_exact(v, who) end",
  number = "if type(v) ~= 'number' then v = as_number(v, who) end",
  finite = "v = as_finite(v, who)",
  ordered = "if v ~= v then v = nil elseif type(v) ~= 'number' then v = as_ordered(v, who) end",
  identity = "v = as_identity(v)",
}

-- Adding, merging, telling -------------------------------------------------------------------------------------------

local function is_integer(v)
  if type(v) ~= "number" then return true end
  return v == floor(v) and v <= EXACT and v >= -EXACT
end

local function to_int64(v)
  if istype(uint64, v) and v >= 9223372036854775808ULL then error("sw.sum: beyond 2^63", 0) end
  return ffi.cast(int64, v)
end

--- a + b where one of the three may be beyond 2^53: exact of integers.
local function add_exactly(a, b)
  if not (is_integer(a) and is_integer(b)) then return tonumber(a) + tonumber(b) end
  local x, y = to_int64(a), to_int64(b)
  local sum = x + y
  if (x < 0) == (y < 0) and (sum < 0) ~= (x < 0) then error("sw.sum: beyond 2^63", 0) end
  local number = tonumber(sum)
  return number < EXACT and number > -EXACT and number or sum
end

--- a < b where one of them is no number.
local function less(a, b)
  if type(a) == "string" or type(b) == "string" then
    if type(a) ~= type(b) then error(("%s and %s have no order"):format(check.show(a), check.show(b)), 0) end
    return a < b
  end
  if istype(uint64, a) and b < 0 then return false end
  if istype(uint64, b) and a < 0 then return true end
  return a < b
end

--- A value that may be kept: not a record in the engine's memory.
local function kept(v)
  if type(v) == "cdata" then return values.table(v) end
  return v
end

local function copied(v)
  if type(v) == "table" then return values.copy(v) end
  return v
end

local function by_time_then_place(list)
  return function(a, b)
    local at, bt = list[2 * a - 1], list[2 * b - 1]
    if at ~= bt then return at < bt end
    return a < b
  end
end

--- The values of { time, value, time, value, ... } in order of time.
function M.in_order(list, copy)
  local count, order = #list / 2, {}
  local is_sorted = true
  for i = 1, count do
    order[i] = i
    if i > 1 and list[2 * i - 1] < list[2 * i - 3] then is_sorted = false end
  end
  if not is_sorted then table.sort(order, by_time_then_place(list)) end
  local out = {}
  for i = 1, count do out[i] = copy and copied(list[2 * order[i]]) or list[2 * order[i]] end
  return values.array(out)
end

--- Puts { time, value, ... } behind what is there.
function M.append(list, other)
  local n = #list
  for i = 1, #other do list[n + i] = other[i] end
end

local ADD_SUM = [[local sum = $1
  if type(sum) == "number" and type(v) == "number" then
    local s = sum + v
    if s < 9007199254740992 and s > -9007199254740992 then $1 = s else $1 = add_exactly(sum, v) end
  else $1 = add_exactly(sum, v) end]]

local function extreme(is_better)
  local add = ([[local best = $1
    if best == false then $1 = v
    elseif type(v) == "number" and type(best) == "number" then if v %s best then $1 = v end
    elseif %s then $1 = v end]]):format(is_better, is_better == "<" and "less(v, best)" or "less(best, v)")
  return {
    slots = { "false" }, read = "ordered", result = "$1 or nil", add = add,
    merge = "local v = $b1 if v ~= false then " .. add .. " end",
  }
end

--- { best value, its time, its event }: of equal values the earliest event is the one.
local function extreme_by(is_better)
  local function take(a, i, v, time, event)
    local best = a[i]
    local is_first = best == false
    if not is_first then
      local low, high = v, best
      if is_better == ">" then low, high = best, v end
      is_first = less(low, high) or not less(high, low) and time < a[i + 1]
    end
    if is_first then a[i], a[i + 1], a[i + 2] = v, time, kept(event) end
  end
  return {
    slots = { "false", "0", "false" }, read = "ordered", result = "$1 and copied($3) or nil",
    add = "take(acc, $i, v, time, event)", take = take,
    merge = "if $b1 ~= false then take(acc, $i, $b1, $b2, $b3) end",
  }
end

--- { time, value } of the earliest or latest event.
local function by_time(is_taken)
  return {
    slots = { "false", "false" }, result = "picked($1, $2)",
    add = ("local at = $1 if at == false or time %s at then $1 = time $2 = kept(v) end"):format(is_taken),
    merge = ("local at = $b1 if at ~= false and ($1 == false or at %s $1) then $1 = at $2 = $b2 end"):format(is_taken),
  }
end

local function picked(at, v)
  if at ~= false then return copied(v) end
  return nil
end

local function merge_seen(seen, n, others)
  for v in each.pairs(others) do
    if not seen[v] then seen[v], n = true, n + 1 end
  end
  return n
end

--- Of each aggregator: the slots' first values; what is read; the code that adds `v`, which is not nil ($1 is the first
-- slot, $i its number); the code that merges another's slots ($b1); the code of the result.
local KINDS = {
  count = { slots = { "0" }, result = "$1", add = "if v then $1 = $1 + 1 end", merge = "$1 = $1 + $b1" },
  sum = { slots = { "0" }, read = "exact", result = "$1", add = ADD_SUM, merge = "local v = $b1 " .. ADD_SUM },
  mean = {
    slots = { "0", "0" }, read = "number", result = "$2 > 0 and $1 / $2 or nil", add = "$1 = $1 + v $2 = $2 + 1",
    merge = "$1 = $1 + $b1 $2 = $2 + $b2",
  },
  min = extreme("<"), max = extreme(">"), min_by = extreme_by("<"), max_by = extreme_by(">"),
  first = by_time("<"), last = by_time(">="),
  collect = {
    slots = { "{}" }, result = "in_order($1, true)",
    add = "local list = $1 local n = #list list[n + 1] = time list[n + 2] = kept(v)", merge = "append($1, $b1)",
  },
  distinct = {
    slots = { "{}", "0" }, read = "identity", result = "$2",
    add = "local seen = $1 if not seen[v] then seen[v] = true $2 = $2 + 1 end",
    merge = "$2 = merge_seen($1, $2, $b1)",
  },
  approx_distinct = {
    slots = { "{}" }, read = "identity", result = "sketches.distinct($1)", add = "sketches.add_distinct($1, v)",
    merge = "sketches.merge_distinct($1, $b1)",
  },
  quantile = {
    slots = { "sketches.new_values()" }, read = "finite", result = "sketches.quantile($1, $q)",
    add = "sketches.add_value($1, v)", merge = "sketches.merge_values($1, $b1)",
  },
}

-- Writing the code ---------------------------------------------------------------------------------------------------

local TOOLS = {
  as_exact = as_exact, as_number = as_number, as_finite = as_finite, as_ordered = as_ordered, as_identity = as_identity,
  add_exactly = add_exactly, less = less, kept = kept, copied = copied, picked = picked, in_order = M.in_order,
  append = M.append, merge_seen = merge_seen, sketches = sketches, type = type, null = values.null,
}

-- Chunks are named as if they lay beside this file: the engine's own code, wherever names are looked at.
local HERE = debug.getinfo(1, "S").source:gsub("accumulators%.lua$", "")

local function compile(text, name, own)
  local names = {}
  for tool in each.pairs(TOOLS) do names[#names + 1] = tool end
  table.sort(names)
  local list = table.concat(names, ", ")
  local chunk = assert(loadstring(("local %s = %s\n%s"):format(list, list, text), HERE .. name))
  return setfenv(chunk, setmetatable(own, { __index = TOOLS }))()
end

--- Lines that read each field once, and make each kind of value of it once. Returns the name of the variable that has
-- what an aggregator reads; nil: the whole of the event, which is never nil.
local function reader()
  local lines, own, variables, count = {}, {}, {}, 0
  local function variable(key, text)
    if variables[key] then return variables[key] end
    count = count + 1
    variables[key] = "v" .. count
    lines[#lines + 1] = ("local v%d = %s"):format(count, text)
    return variables[key]
  end
  local function field_variable(field)
    if type(field) == "string" then return variable(field, ("event[%q]"):format(field)) end
    if variables[field] then return variables[field] end
    local name = "f" .. (count + 1)
    own[name] = field
    return variable(field, name .. "(event)")
  end
  local function read(aggregator)
    if aggregator.field == nil then return "event" end
    local raw = field_variable(aggregator.field)
    local kind = READ[KINDS[aggregator.name].read]
    if not kind then return raw end
    local key = raw .. KINDS[aggregator.name].read
    local known = variables[key]
    local name = variable(key, raw)
    if known then return name end
    local where = type(aggregator.field) == "string" and ("field '%s'"):format(aggregator.field) or "the value"
    local who = ("%q"):format(("sw.%s: %s"):format(aggregator.name, where))
    lines[#lines + 1] = ("if %s ~= nil then %s end"):format(name,
      kind:gsub("%f[%w]v%f[%W]", name):gsub("%f[%w]who%f[%W]", function() return who end))
    return name
  end
  return read, lines, own
end

--- Lays the slots out: equal aggregators share theirs, as quantiles of one field do.
local function place(fields)
  local slots, places, used = {}, {}, {}
  for i, field in ipairs(fields) do
    local aggregator = field.aggregator
    local same = used[aggregator.name] or {}
    used[aggregator.name] = same
    local identity = aggregator.field == nil and M or aggregator.field -- M stands for none.
    local is_shared = same[identity] ~= nil
    if not is_shared then
      same[identity] = #slots + 1
      for _, text in ipairs(KINDS[aggregator.name].slots) do slots[#slots + 1] = text end
    end
    places[i] = { at = same[identity], aggregator = aggregator, is_shared = is_shared, name = field.name }
  end
  return slots, places
end

local function filled(text, spot)
  local function slot(other, k) return ("%s[%d]"):format(other == "b" and "b" or "acc", spot.at + k - 1) end
  local q = ("%.17g"):format(spot.aggregator.q or 0)
  return (text:gsub("%$(b?)(%d)", slot):gsub("%$i", tostring(spot.at)):gsub("%$q", q))
end

--- The code of one aggregator, `take` being its own.
local function own_code(text, spot, own)
  own["take" .. spot.at] = KINDS[spot.aggregator.name].take
  return (filled(text, spot):gsub("%f[%w]take%(", "take" .. spot.at .. "("))
end

local function adding_lines(places, read, own)
  local lines = {}
  for _, spot in ipairs(places) do
    if not spot.is_shared then
      local add = own_code(KINDS[spot.aggregator.name].add, spot, own)
      lines[#lines + 1] = ("do local v = %s if v ~= nil then %s end end"):format(read(spot.aggregator), add)
    end
  end
  return lines
end

local function merge_maker(places)
  local lines, own = {}, {}
  for _, spot in ipairs(places) do
    if not spot.is_shared then
      lines[#lines + 1] = ("do %s end"):format(own_code(KINDS[spot.aggregator.name].merge, spot, own))
    end
  end
  return compile(("return function(acc, b) %s end"):format(table.concat(lines, "\n")), "aggregate.merge", own)
end

local APPLY = [[
return function(find, after, time_of)
  return function(event, _, state)
    local time = time_of()
    %s
    local acc, where = find(state, time, event)
    if acc == nil then return end
    %s
    %s
  end
end]]

--- What adds an event to the accumulator that `find` gives.
local function apply_maker(places, has_after)
  local read, reads, own = reader()
  local adds = adding_lines(places, read, own)
  local after = has_after and "after(state, acc, where, time, event)" or ""
  return compile(APPLY:format(table.concat(reads, "\n"), table.concat(adds, "\n"), after), "aggregate.add", own)
end

--- Fields of a row, in code. `key_text` gives that of the i-th of n fields of the key.
local function row_text(places, key_fields, key_text)
  local fields = {}
  for i, name in ipairs(key_fields) do fields[i] = ("[%q] = %s"):format(name, key_text(i, #key_fields, name)) end
  for _, spot in ipairs(places) do
    fields[#fields + 1] = ("[%q] = %s"):format(spot.name, filled(KINDS[spot.aggregator.name].result, spot))
  end
  return table.concat(fields, ", ")
end

local function of_window(i, n) return n == 1 and "key" or ("key[%d]"):format(i) end

--- A row of a running aggregate takes its key from the event, where it is made of fields.
local function of_event(_, _, name) return ("event[%q]"):format(name) end

local WINDOW_ROW = [[
return function(key, window_start, window_end, acc)
  return { window_start = window_start, window_end = window_end, %s }
end]]

--- Code for named aggregators.
---@param fields { name: string, aggregator: swlua.Aggregator }[]
---@param key_fields string[] names under which rows show the key
---@param is_of_event boolean the key is made of these fields of an event
---@return table content new(), merge(a, b), operator(find, after, time_of), row(key, window_start, window_end, acc),
---  running_row(event, key, acc)
function M.compile(fields, key_fields, is_of_event)
  local slots, places = place(fields)
  local running = row_text(places, key_fields, is_of_event and of_event or of_window)
  return {
    new = compile(("return function() return { %s } end"):format(table.concat(slots, ", ")), "aggregate.new", {}),
    row = compile(WINDOW_ROW:format(row_text(places, key_fields, of_window)), "aggregate.row", {}),
    running_row = compile(("return function(event, key, acc) return { %s } end"):format(running), "aggregate.row", {}),
    operator = function(find, after, time_of) return apply_maker(places, after ~= nil)(find, after, time_of) end,
    merge = merge_maker(places),
  }
end

return M
