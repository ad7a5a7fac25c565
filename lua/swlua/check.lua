--- Checking what a script says: where it said it, what is wrong with it, and what was probably meant.
---
---     script ──► sw.job, job:source, stream:map ... ──► check ──► error("jobs/x.lua:12: ...")
---                                                         └─────► or a list of problems (with_collection)
---
--- A problem ends the script at once, unless it is being collected: then it is noted and building goes on with a safe
--- substitute, so that one run of `swlua check` shows every problem.
---@class swlua.check
local M = {}

---@class swlua.Problem
---@field file string the script
---@field line integer? line in it; nil where the problem is the script's as a whole
---@field text string what is wrong, without the location

--- Script that is being loaded: the location of what has no Lua frame of its own (a tail call from its top level).
---@type string?
M.script = nil

local collected ---@type swlua.Problem[]?

-- Location ------------------------------------------------------------------------------------------------------

local own_prefix = debug.getinfo(1, "S").source:match("^(.*)check%.lua$") or "@swlua/"

local function is_own(source)
  return source:sub(1, #own_prefix) == own_prefix
end

--- "file:line" of the innermost call that is not in swlua itself.
---@return string
function M.where()
  local level = 2
  while true do
    local info = debug.getinfo(level, "Sl")
    if info == nil then return M.script or "?" end
    if info.what ~= "C" and not is_own(info.source) then
      local file = info.source:sub(1, 1) == "@" and info.source:sub(2) or info.short_src
      return file .. ":" .. info.currentline
    end
    level = level + 1
  end
end

--- A problem as data.
---@param where string "file:line"
---@param text string
---@return swlua.Problem
function M.problem_at(where, text)
  local file, line = where:match("^(.*):(%d+)$")
  return { file = file or where, line = tonumber(line), text = text }
end

-- Problems ------------------------------------------------------------------------------------------------------

--- Is a list of problems being made? Then callers go on after `problem` with a substitute.
---@return boolean
function M.is_collecting()
  return collected ~= nil
end

--- States a problem: an error at the user's line, or one more in the list.
---@param text string
---@param where string? "file:line"; default the user's line that is running
function M.problem(text, where)
  where = where or M.where()
  if collected == nil then error(where .. ": " .. text, 0) end
  collected[#collected + 1] = M.problem_at(where, text)
end

--- States a problem that nothing can stand in for: ends the script, also while problems are collected.
---@param text string
function M.fatal(text)
  error(M.where() .. ": " .. text, 0)
end

local function raised_problem(err)
  if type(err) == "table" and err.text then err = err.text end
  local where, text = tostring(err):match("^(.-:%d+): (.*)$")
  if where == nil then return M.problem_at(M.script or "?", tostring(err)) end
  return M.problem_at(where, text)
end

--- Runs `fn`, noting problems instead of raising them. An error of the script itself becomes the last problem.
---
---     local problems, job = check.with_collection(function() return dofile("jobs/fraud.lua") end)
---     for _, p in ipairs(problems) do print(p.file, p.line, p.text) end
---@param fn fun(): any
---@return swlua.Problem[] problems in the order they were met
---@return any result of fn; nil when it raised an error
function M.with_collection(fn)
  local outer, list = collected, {}
  collected = list
  local ok, result = pcall(fn)
  collected = outer
  if ok then return list, result end
  list[#list + 1] = raised_problem(result)
  return list, nil
end

-- Names and suggestions -----------------------------------------------------------------------------------------

-- Letters to insert, drop, replace or swap with their neighbour, to make `b` of `a`.
local function distance(a, b)
  local before, previous, current = {}, {}, {}
  for j = 0, #b do
    previous[j] = j
  end
  for i = 1, #a do
    current[0] = i
    for j = 1, #b do
      local cost = a:byte(i) == b:byte(j) and 0 or 1
      current[j] = math.min(previous[j] + 1, current[j - 1] + 1, previous[j - 1] + cost)
      if i > 1 and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
        current[j] = math.min(current[j], before[j - 2] + 1)
      end
    end
    before, previous, current = previous, current, before
  end
  return previous[#b]
end

--- The name most like `name`, if one is near enough to be meant: a third of its letters may differ.
---
---     check.nearest("paralelism", { "parallelism", "queue" })  --> "parallelism"
---@param name any
---@param names string[]
---@return string?
function M.nearest(name, names)
  if type(name) ~= "string" or #name > 64 then return nil end
  local best, best_distance = nil, math.max(1, math.floor(#name / 3)) + 1
  for _, candidate in ipairs(names) do
    local d = distance(name:lower(), candidate:lower())
    if d < best_distance then
      best, best_distance = candidate, d
    end
  end
  return best
end

--- ` (did you mean "x"?)`, or the list of what there is when nothing is near.
---@param name any
---@param names string[] sorted
---@return string
function M.suggestion(name, names)
  local near = M.nearest(name, names)
  if near ~= nil then return (' (did you mean "%s"?)'):format(near) end
  if #names == 0 then return "" end
  return (" (there are: %s)"):format(table.concat(names, ", "))
end

--- Keys of a table as sorted text.
---@param t table
---@return string[]
function M.sorted_keys(t)
  local names = {}
  for name in pairs(t) do
    names[#names + 1] = tostring(name)
  end
  table.sort(names)
  return names
end

--- A string in quotes, on one line; other values as tostring gives them.
---@param value any
---@return string
function M.quoted(value)
  if type(value) ~= "string" then return tostring(value) end
  local text = value:gsub('[%c"\\]', function(c)
    return ("\\%d"):format(c:byte())
  end)
  return '"' .. text .. '"'
end

--- A value as a message shows it: short, on one line.
---@param value any
---@return string
function M.show(value)
  local kind = type(value)
  if kind == "string" then return M.quoted(#value > 40 and value:sub(1, 37) .. "..." or value) end
  if kind == "number" or kind == "boolean" or kind == "nil" then return tostring(value) end
  return "a " .. kind
end

-- Rules: value -> normalized value, or nil and what was expected --------------------------------------------------

---@alias swlua.Rule fun(value: any): any, string?

---@type table<string, swlua.Rule>
M.rule = {}

local UNIT_MS = { ms = 1, s = 1000, m = 60000, h = 3600000, d = 86400000 }
local DURATION = 'a duration such as "250ms", "10s", "5m", "1h" or "2d"'

--- Milliseconds of a duration's text.
---
---     check.rule.duration("1.5s")  --> 1500
---@param value any
---@return integer? ms
---@return string? expected
function M.rule.duration(value)
  if type(value) ~= "string" then return nil, DURATION end
  local number, unit = value:match("^(%d+%.?%d*)(%a+)$")
  local factor = UNIT_MS[unit]
  if factor == nil then return nil, DURATION end
  local ms = tonumber(number) * factor
  if ms ~= math.floor(ms) then return nil, "a duration of whole milliseconds" end
  if ms > 2 ^ 53 then return nil, "a shorter duration" end
  return ms
end

--- A duration that is not zero.
function M.rule.positive_duration(value)
  local ms, expected = M.rule.duration(value)
  if ms == 0 then return nil, "a duration longer than zero" end
  return ms, expected
end

local UNIT_BYTES = {
  B = 1, kB = 1000, KB = 1000, MB = 1000 ^ 2, GB = 1000 ^ 3, KiB = 1024, MiB = 1024 ^ 2, GiB = 1024 ^ 3,
}

--- Bytes of a size's text; a plain number is bytes.
---
---     check.rule.size("16MiB")  --> 16777216
---@param value any
---@return integer? bytes
---@return string? expected
function M.rule.size(value)
  local bytes = value
  if type(value) == "string" then
    local number, unit = value:match("^(%d+%.?%d*)(%a+)$")
    bytes = UNIT_BYTES[unit] and tonumber(number) * UNIT_BYTES[unit]
  end
  if type(bytes) ~= "number" or bytes ~= math.floor(bytes) or bytes < 1 or bytes > 2 ^ 40 then
    return nil, 'a size such as "64KiB", "16MiB" or "1GiB"'
  end
  return bytes
end

--- A whole number in [least, greatest].
---@return swlua.Rule
function M.integer(least, greatest)
  local expected = ("a whole number from %d to %d"):format(least, greatest)
  return function(value)
    if type(value) ~= "number" or value % 1 ~= 0 or value < least or value > greatest then return nil, expected end
    return value
  end
end

--- A number above `low`, and at most `high`.
---@return swlua.Rule
function M.number_above(low, high)
  local expected = high == math.huge and ("a number above %g"):format(low)
    or ("a number above %g and at most %g"):format(low, high)
  return function(value)
    if type(value) ~= "number" or not (value > low and value <= high) or value == math.huge then
      return nil, expected
    end
    return value
  end
end

--- One of some words.
---@param words string[]
---@return swlua.Rule
function M.one_of(words)
  local expected = 'one of "' .. table.concat(words, '", "') .. '"'
  local known = {}
  for _, word in ipairs(words) do
    known[word] = true
  end
  return function(value)
    if known[value] then return value end
    local near = M.nearest(value, words)
    return nil, near and ('%s (did you mean "%s"?)'):format(expected, near) or expected
  end
end

local function of_type(kind, expected)
  return function(value)
    if type(value) ~= kind then return nil, expected end
    return value
  end
end

M.rule.boolean = of_type("boolean", "true or false")
M.rule.func = of_type("function", "a function")
M.rule.string = of_type("string", "a string")

--- A field name, or a function of the event.
function M.rule.field_or_function(value)
  if type(value) == "function" or (type(value) == "string" and value ~= "") then return value end
  return nil, "a field name or a function"
end

--- A schema made by sw.record.
function M.rule.schema(value)
  if type(value) == "table" and rawget(value, "kind") == "schema" then return value end
  return nil, 'a schema made by sw.record, such as sw.record{ card = "string", amount = "f64" }'
end

-- Options -------------------------------------------------------------------------------------------------------

---@class swlua.OptionSpec
---@field rule swlua.Rule? how its value is checked
---@field to string? name of the normalized option; default its own
---@field later boolean? known, and refused: not part of this version
---@field group table<string, swlua.OptionSpec>? its value is a table of options

local function option_names(spec)
  local names = {}
  for name, entry in pairs(spec) do
    if not entry.later then names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

local function check_option(subject, label, entry, value, out, target)
  if entry.later then
    M.problem(('%s: option "%s" is not available in this version'):format(subject, label))
  elseif entry.group then
    out[target] = M.options(subject, value, entry.group, label .. ".")
  else
    local result, expected = entry.rule(value)
    if expected ~= nil then
      local text = '%s: option "%s" must be %s, got %s'
      M.problem(text:format(subject, label, expected, M.show(value)))
      result = nil
    end
    out[target] = result
  end
end

--- Checks a table of options against what is known, and normalizes it. What is wrong is left out.
---
---     check.options('component "a"', { queue = 8, idle = "1s" },
---       { queue = { rule = check.integer(1, 64) }, idle = { rule = check.rule.duration, to = "idle_ms" } })
---     --> { queue = 8, idle_ms = 1000 }
---@param subject string what the options are of, for messages
---@param options any what the script gave; nil is none
---@param spec table<string, swlua.OptionSpec>
---@param prefix string? of nested options' names
---@return table normalized
function M.options(subject, options, spec, prefix)
  local out = {}
  prefix = prefix or ""
  if options == nil then return out end
  if type(options) ~= "table" then
    local what = prefix == "" and "the options" or ('option "%s"'):format(prefix:sub(1, -2))
    M.problem(("%s: %s must be a table, got %s"):format(subject, what, M.show(options)))
    return out
  end
  for _, name in ipairs(M.sorted_keys(options)) do
    local entry = spec[name]
    if entry == nil then
      local hint = M.suggestion(name, option_names(spec))
      M.problem(('%s: unknown option "%s%s"%s'):format(subject, prefix, name, hint))
    else
      check_option(subject, prefix .. name, entry, options[name], out, entry.to or name)
    end
  end
  return out
end

-- Members -------------------------------------------------------------------------------------------------------

--- The `__index` of an object whose class is `methods`: an unknown member is an error that names the nearest one.
---
---     local Stream = {}
---     Stream.__index = check.members(Stream, "streams have no method", { window = true })
---@param methods table<string, function>
---@param what string opening of the message
---@param later table<string, boolean> members of later versions
---@return fun(self: table, name: any): any
function M.members(methods, what, later)
  return function(self, name)
    local method = rawget(methods, name)
    if method ~= nil then return method end
    if type(name) ~= "string" or name:sub(1, 1) == "_" then return nil end
    local hint = later[name] and " in this version" or M.suggestion(name, M.public_names(methods))
    M.problem(("%s '%s'%s"):format(what, name, hint))
    return function() return self end
  end
end

--- Names of a class's methods, sorted, without its internals.
---@param methods table
---@return string[]
function M.public_names(methods)
  local names = {}
  for name in pairs(methods) do
    if name:sub(1, 1) ~= "_" then names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

return M
