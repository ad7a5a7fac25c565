--- `swlua check --explain`: runs a job over its first events with its sinks discarded, and says of each component
-- whether its code compiles under the JIT, and what stops it.
--
--     prepare(job, n) ──► the engine runs it ──► events of the JIT (jit.attach) ──► report(job)
--
-- A component compiles when one of its functions is part of a finished trace and nothing of a lasting kind was met in
-- its code. Most aborts of a recording do not last: the recorder starts in the wrong place, gives up, and a later
-- recording has the code. They count only for code that never gets into a trace.
local f = require("swlua.internal.ffi")
local jutil = require("jit.util")
local funcinfo = jutil.funcinfo
local has_names, vmdef = pcall(require, "jit.vmdef")

local M = {}

--- Aborts that come again whenever the code is met, by what jit.vmdef calls them.
local LASTING = { "^NYI: bytecode", "^NYI: .*FastFunc", "^NYI: .*C function", "^NYI: mixed", "^NYI: unsupported C",
  "^NYI: cannot assemble", "^JIT compilation disabled" }

--- Aborts that only tell of others.
local CONSEQUENCES = { "^blacklisted", "^retry recording", "^trace too short", "^error thrown" }

--- What usually makes the code stand there.
local HINTS = {
  { "bytecode FNEW", "a closure is made for each event" },
  { "bytecode UCLO", "a closure keeps a variable of a block that ends" },
  { "bytecode VARG", "`...` of unknown length is passed on" },
  { "bytecode TSETM", "a table is made of any number of results" },
  { "bytecode ITER", "a loop by pairs or next" },
  { "mixed sparse", "a table has both list entries and other whole numbers as keys" },
  { "disabled for function", "jit.off was called for it" },
}

--- C functions that end a trace, but belong to the course of things: an error, a task that waits.
local EXPECTED = { error = true, ["coroutine.yield"] = true }

---@class swlua.explain.Finding
---@field text string the reason
---@field place string file:line
---@field is_lasting boolean
---@field count integer

local ENOUGH = 1000 -- events after which code that can be compiled is
local STACK_LEVELS_MAX = 64 -- deeper code is not attributed

local HERE = debug.getinfo(1, "S").source
local OURS = HERE:match("^(.*)explain%.lua$") -- where all modules of ours are

local tasks              -- of the worker
local by_coroutine       -- thread -> task
local ranges = {}        -- of the components' functions: { source, first, last, index }
local findings = {}      -- component index, "helper" or "engine" -> place .. text -> Finding
local compiled = {}      -- keys of functions in finished traces
local recording = {}     -- the same of the trace at work
local last_func          -- what it recorded last

-- Which component a place belongs to -----------------------------------------------------------------------------

local function is_own(source)
  return source:sub(1, #OURS) == OURS
end

local function key_of(info)
  return ("%s:%d:%d"):format(info.source, info.linedefined, info.lastlinedefined)
end

--- What a windowed component was given (window.lua).
local function windowed_functions(spec, add)
  for _, name in ipairs({ "fn", "init", "row", "merge" }) do add(spec[name]) end
  for _, field in ipairs(spec.fields or {}) do add(field.aggregator.field) end
end

--- Every function that the script gave for a component.
local function functions_of(component)
  local list = {}
  local function add(value)
    if type(value) == "function" then list[#list + 1] = value end
  end
  if component.kind == "sink" then return list end
  add(component.fn)
  add(component.time)
  add(component.options.on_timer)
  add(component.connector and component.connector.fn)
  local windowed = component.operator and component.operator.windowed
  if windowed then
    windowed_functions(windowed, add)
  else
    for _, member in pairs(component.operator or {}) do add(member) end
  end
  for _, input in ipairs(component.inputs) do add(input.grouping.fn) end
  return list
end

local function add_range(index, fn)
  local info = debug.getinfo(fn, "S")
  ranges[#ranges + 1] = {
    source = info.source, first = info.linedefined, last = info.lastlinedefined, key = key_of(info), index = index,
  }
end

local function list_ranges(job)
  for _, component in ipairs(job.components) do
    for _, fn in ipairs(functions_of(component)) do add_range(component.index, fn) end
  end
end

--- The component whose function stands around a line; where several do, the innermost.
local function component_at(source, line)
  local best
  for _, range in ipairs(ranges) do
    if range.source == source and line >= range.first and line <= range.last
      and (not best or range.last - range.first < best.last - best.first) then
      best = range
    end
  end
  return best and best.index
end

--- The component whose code the task at work runs: for functions that several may call.
local function component_at_work()
  local task = by_coroutine[coroutine.running()]
  return task and task.T.at > 0 and task.T.at or nil
end

--- The nearest place of the script on the stack, unless the engine's loops stand before it: then what is met is the
-- engine's own. With it comes the name of the function of ours that the script called there, if it did.
local function script_place()
  local callee
  for level = 2, STACK_LEVELS_MAX do
    local info = debug.getinfo(level, "Sln")
    if not info or info.source:find("internal/stages.lua", 1, true) then return nil end
    if info.what ~= "C" and info.source ~= HERE then
      if not is_own(info.source) then return info.source, info.currentline, callee end
      callee = info.name
    end
  end
end

-- What the JIT says ----------------------------------------------------------------------------------------------

local function name_of_c(info)
  local name = info.ffid and has_names and vmdef.ffnames[info.ffid]
  return name and name:gsub("_aux$", "") or "a C function" -- An iterator is named like what makes it.
end

local function reason(code, detail)
  if type(code) ~= "number" then return tostring(code) end
  if not has_names then return ("the JIT's reason %d"):format(code) end
  local text = vmdef.traceerr[code]
  if text:find("bytecode %d", 1, true) then
    return "NYI: bytecode " .. vmdef.bcnames:sub(detail * 6 + 1, detail * 6 + 6):gsub("%s+$", "")
  end
  if type(detail) == "function" then
    local info = funcinfo(detail)
    detail = info.loc or name_of_c(info)
  end
  return text:find("%", 1, true) and text:format(detail) or text
end

local function matches(text, patterns)
  for _, pattern in ipairs(patterns) do
    if text:find(pattern) then return true end
  end
  return false
end

local function with_hint(text, info)
  if info.source and is_own(info.source) then return text end
  for _, hint in ipairs(HINTS) do
    if text:find(hint[1], 1, true) then return ("%s (%s)"):format(text, hint[2]) end
  end
  return text
end

local function add_finding(whose, text, place, is_lasting)
  findings[whose] = findings[whose] or {}
  local key = place .. text
  local finding = findings[whose][key] or { text = text, place = place, is_lasting = is_lasting, count = 0 }
  finding.count = finding.count + 1
  findings[whose][key] = finding
end

--- Notes what ended a recording in the function that `info` tells of.
local function note(info, text, is_lasting)
  local source, line, callee = script_place()
  if callee then text = ("%s in swlua's %s"):format(text, callee) end
  if not source and info.source then source, line = info.source, info.currentline end
  if not source then return end -- The engine called a C function.
  local place = ("%s:%d"):format(source:gsub("^@", ""), line)
  if is_own(source) and text:find("^JIT compilation disabled") then return end -- It is kept out of traces on purpose.
  local whose = is_own(source) and "engine" or component_at(source, line) or component_at_work() or "helper"
  add_finding(whose, text, place, is_lasting)
end

--- A call of what the JIT cannot compile ends a trace or splits it.
local function note_call(info)
  local name = name_of_c(info)
  if not EXPECTED[name] then note(info, ("calls %s (not compiled)"):format(name), true) end
end

local on_trace = {}

function on_trace.start()
  recording, last_func = {}, nil
end

function on_trace.stop()
  for key in pairs(recording) do compiled[key] = true end
  local info = last_func and funcinfo(last_func)
  if info and not info.source then note_call(info) end
end

function on_trace.abort(_, func, pc, code, detail)
  local info = funcinfo(func, pc)
  local text = reason(code, detail)
  if not info.source and text:find("^trace too short") then return note_call(info) end
  if not matches(text, CONSEQUENCES) then note(info, with_hint(text, info), matches(text, LASTING)) end
end

function on_trace.flush() end

local function hear_trace(what, ...)
  on_trace[what](...)
end

local function hear_record(_, func)
  if func == last_func then return end
  last_func = func
  local info = funcinfo(func)
  if info.source then recording[key_of(info)] = true end
end

local function attach()
  jit.attach(hear_trace, "trace")
  jit.attach(hear_record, "record")
end

local function detach()
  jit.attach(hear_trace)
  jit.attach(hear_record)
end

-- Running a sample -----------------------------------------------------------------------------------------------

--- Nothing is written, and nothing waits for a rate or for what is still to come.
local function isolate(job, limit)
  for _, component in ipairs(job.components) do
    if component.kind == "sink" then
      component.operator, component.connector = nil, { type = "null", options = {} }
    elseif component.kind == "source" then
      component.options.rate, component.options.journal = nil, nil
      local options = component.connector and component.connector.options or {}
      options.rate = nil
      if component.connector and component.connector.type == "generator" then
        options.count = math.min(options.count or limit, limit)
      elseif component.connector and component.connector.type == "log" then
        options.follow = false
      end
    end
  end
end

local function made_by(component)
  local made = 0
  for _, task in ipairs(tasks) do
    if task.head.component == component then made = made + tonumber(task.head.instance.n_out) end
  end
  return made
end

--- Looks after each batch of a source whether it was the last.
local function stop_after(limit)
  for _, task in ipairs(tasks) do
    local component = task.head.component
    if component.kind == "source" then
      table.insert(task.collectors, function()
        if made_by(component) >= limit then task.T.is_stopping = 1 end
      end)
    end
  end
end

local function watch(started, limit)
  tasks, by_coroutine = started, {}
  for _, task in ipairs(tasks) do
    by_coroutine[task.coroutine] = task
    for _, x in ipairs(task.order) do
      if x.composed then add_range(x.component.index, x.composed) end
    end
  end
  stop_after(limit)
  attach()
end

--- Makes a loaded job a sample of itself: each source stops with the batch in which it reaches `limit` events, sinks
-- do nothing.
---@param job swlua.Job
---@param limit string
---@return nil
function M.prepare(job, limit)
  local runtime = require("swlua.internal.runtime")
  local start = runtime.start
  list_ranges(job)
  isolate(job, tonumber(limit))
  runtime.start = function(worker, loaded, options)
    options.on_dead_letter = function() end
    local started = start(worker, loaded, options)
    watch(started, tonumber(limit))
    return started
  end
end

-- Telling --------------------------------------------------------------------------------------------------------

--- Findings in the order of how often they were met.
local function sorted(whose, only_lasting)
  local list = {}
  for _, finding in pairs(findings[whose] or {}) do
    if finding.is_lasting or not only_lasting then list[#list + 1] = finding end
  end
  table.sort(list, function(a, b)
    if a.count ~= b.count then return a.count > b.count end
    return a.place .. a.text < b.place .. b.text
  end)
  return list
end

local function interpreted(list, count)
  local parts = {}
  for i = 1, math.min(count, #list) do parts[i] = ("%s at %s"):format(list[i].text, list[i].place) end
  return "interpreted: " .. table.concat(parts, "; ")
end

local function is_compiled(component)
  for _, range in ipairs(ranges) do
    if range.index == component.index and compiled[range.key] then return true end
  end
  return false
end

--- Events that a component got, or made.
local function event_count(component)
  local count = 0
  for _, task in ipairs(tasks) do
    for _, x in ipairs(task.order) do
      if x.component == component then
        count = count + (component.kind == "source" and tonumber(x.instance.n_out) or f.events_in(x.instance))
      end
    end
  end
  return count
end

local function has_code(component)
  for _, range in ipairs(ranges) do
    if range.index == component.index then return true end
  end
  return false
end

local function verdict(component)
  if component.kind == "sink" then return "not run: sinks are discarded" end
  if not has_code(component) then return "compiles: it has no code in Lua" end
  local lasting = sorted(component.index, true)
  if #lasting > 0 then return interpreted(lasting, #lasting) end
  if is_compiled(component) then return "compiles" end
  local others = sorted(component.index, false)
  if #others > 0 then return interpreted(others, 1) end
  local count = event_count(component)
  if count < ENOUGH then return ("not known: %d events are too few to tell"):format(count) end
  return ("interpreted: no trace had it in %d events, and nothing in it is why"):format(count)
end

--- Loops of the engine that run for each batch, not for each event, may do what is not compiled.
local function engine_findings()
  local list = {}
  for _, finding in ipairs(sorted("engine", true)) do
    if not finding.place:find("internal/main.lua", 1, true) then list[#list + 1] = finding end
  end
  return list
end

local function rows(job)
  local list = {}
  for _, component in ipairs(job.components) do list[#list + 1] = { component.name, verdict(component) } end
  local helper, engine = sorted("helper", true), engine_findings()
  if #helper > 0 then list[#list + 1] = { "(outside components)", interpreted(helper, #helper) } end
  if #engine > 0 then list[#list + 1] = { "(engine)", interpreted(engine, #engine) } end
  return list
end

--- The verdicts of a job that has run, a line each.
---@param job swlua.Job
---@return string
function M.report(job)
  if not tasks then return "" end -- It failed before it began.
  detach()
  local lines, width = {}, 0
  local list = rows(job)
  for _, row in ipairs(list) do width = math.max(width, #row[1]) end
  for i, row in ipairs(list) do lines[i] = ("%-" .. width .. "s  %s\n"):format(row[1], row[2]) end
  if not has_names then
    lines[#lines + 1] = "reasons are numbers because jit/vmdef.lua is not installed (on Debian: libluajit-5.1-common)\n"
  end
  return table.concat(lines)
end

return M
