--- What the runner (core/script/runner.c) asks of a Lua state: load the script, tell of its job, start its tasks.
local check = require("swlua.check")
local core = require("swlua.core")
local graph = require("swlua.internal.graph")
local order = require("swlua.internal.order")
local sw = require("swlua")
local jobs = require("swlua.job")

local M = {}

local loaded -- { job, config, tasks }

-- Loading ------------------------------------------------------------------------------------------------------------

local function is_own(info)
  return info ~= nil and info.source:match("^@swlua/") ~= nil or info ~= nil and info.source:match("/lua/swlua/") ~= nil
end

--- Problems that our own checks raise say file and line; errors of the script itself get their way there too.
local function script_trace(err)
  if type(err) == "table" and err.text then return err end
  local text = type(err) == "string" and err or ("(error object is a %s value)"):format(type(err))
  if is_own(debug.getinfo(3, "S")) then return { text = text } end
  local stack = debug.traceback("", 2):gsub("\n[^\n]*swlua/internal/[^\n]*", "")
  stack = stack:gsub("\n%s*%[C%]: in function 'xpcall'.*", "")
  return { text = text .. stack }
end

local function folder_of(path)
  return path:match("^(.*)/[^/]*$") or "."
end

--- "5" -> 5, "abc" -> "abc".
local function argument_value(text)
  return tonumber(text) or text
end

local function set_arguments(config)
  local sets = config.arguments or {}
  for _, pair in ipairs(config.sets or {}) do sets[pair[1]] = argument_value(pair[2]) end
  sw._set_args(sets)
  local arg = { [0] = config.path }
  for i, value in ipairs(config.args or {}) do arg[i] = value end
  rawset(_G, "arg", arg)
end

--- Settings of the command line in the shape of sw.job's options.
local function overrides(settings)
  local options, parallelism = {}, {}
  for _, pair in ipairs(settings or {}) do
    local name, value = pair[1], pair[2]
    local component = name:match("^parallelism:(.*)$")
    if component then parallelism[component] = tonumber(value) or value
    elseif name == "checkpoint_interval" then options.checkpoint = { interval = value }
    elseif name == "backpressure" then options.backpressure = { policy = value }
    elseif name == "parallelism" then options.parallelism = tonumber(value) or value
    else options[name] = value end
  end
  return options, parallelism
end

local engine_globals -- names that were there before the script

local function remember_globals()
  engine_globals = {}
  for name in pairs(_G) do engine_globals[name] = true end
end

local function refuse_global(_, name)
  error(("global '%s' is assigned while the job runs; globals are read-only after load (use local, or self)")
    :format(tostring(name)), 2)
end

--- Globals are read-only once the script is loaded: instances on other workers would not see a change. Those of the
-- script move behind the table of globals: __newindex is asked only about names that are not in it.
local function lock_globals()
  local of_script = {}
  for name, value in pairs(_G) do
    if not engine_globals[name] then of_script[name] = value end
  end
  for name in pairs(of_script) do rawset(_G, name, nil) end
  setmetatable(_G, { __index = of_script, __newindex = refuse_global })
end

local function run_script(config)
  package.path = folder_of(config.path) .. "/?.lua;" .. folder_of(config.path) .. "/?/init.lua;" .. package.path
  set_arguments(config)
  check.script = config.path
  local text = config.text:gsub("^#!", "--")
  local chunk, problem = loadstring(text, "@" .. config.path)
  if not chunk then error({ text = problem }, 0) end
  local job = jobs.from_script(chunk(unpack(config.args or {})), config.path)
  if job then
    check.script = "the command line"
    job:override(overrides(config.settings))
    job:check_delivery()
  end
  return job
end

--- The job of a script, built in this state without keeping it: for sw.test.
function M.build(config)
  local ok, result = xpcall(run_script, script_trace, config)
  if not ok then error(result.text, 0) end
  return result
end

--- Executes the script of `config` { path, text, args, sets, settings, sim } and keeps its job.
function M.load(config)
  order.install()
  remember_globals()
  order.state.on = config.sim and true or false
  if config.sim then math.randomseed(config.seed) end
  local ok, result = xpcall(run_script, script_trace, config)
  if not ok then error(result, 0) end
  loaded = { job = result, config = config }
  sw._hooks.log = function(text, fields)
    core.log("info", result.name, fields and text .. " " .. sw.str(fields) or text)
  end
end

--- Makes a job that was not loaded here the one that this module tells of: for sw.test.
function M.adopt(job)
  loaded = { job = job }
end

function M.job()
  return loaded.job
end

--- When a pending event is replayed, in ms; 0 where the job does not acknowledge events.
function M.ack_timeout(settings)
  return settings.tracking == "ack" and settings.ack_timeout_ms or 0
end

--- Declares the job to the engine's graph. Returns what the engine needs to know besides.
function M.plan(graph_pointer)
  local job = loaded.job
  graph.declare(job, graph_pointer)
  local settings = job.settings
  return job.name, job:fingerprint(), {
    parallelism = settings.parallelism, queue = settings.backpressure.queue, watchdog_ms = settings.watchdog_ms,
    ack_timeout_ms = M.ack_timeout(settings), delivery = settings.delivery, checkpoints = settings.checkpoint.enabled,
    interval_ms = settings.checkpoint.interval_ms, timeout_ms = settings.checkpoint.timeout_ms,
    retain = settings.checkpoint.retain, restart_attempts = settings.restart.attempts,
    restart_delay_ms = settings.restart.delay_ms,
  }
end

local function has_state(component)
  local operator = component.operator
  return component.op == "apply" and component.keyed ~= nil or operator ~= nil and operator.get_state ~= nil
end

--- What a checkpoint says of the job's components: { version, has_state } each.
function M.components()
  local list = {}
  for i, component in ipairs(loaded.job.components) do
    local operator = component.operator
    list[i] = { version = operator and operator.version or 0, has_state = has_state(component) }
  end
  return list
end

local function compared(saved, present, dropped)
  local parallelism, drops = {}, {}
  for _, one in ipairs(present) do parallelism[one.name] = one.parallelism end
  for _, name in ipairs(dropped) do drops[name] = true end
  return require("swlua.internal.snapshot").compare(loaded.job, saved, parallelism, drops)
end

--- Compares the job with the components of a checkpoint. Returns what forbids to go on from it, and what has changed,
-- as texts; "" for nothing.
function M.compare_saved(saved, present, dropped)
  local problems, changes = {}, {}
  for _, row in ipairs(compared(saved, present, dropped)) do
    if row.fate == "refused" then problems[#problems + 1] = ("%s: %s"):format(row.name, row.text)
    elseif row.fate == "dropped" then changes[#changes + 1] = ("component %s is no longer in the job"):format(row.name)
    elseif row.fate == "new" then
      changes[#changes + 1] = ("component %s is new: it starts without state"):format(row.name)
    end
  end
  return table.concat(problems, "; "), table.concat(changes, "; ")
end

--- The same, as a line for each component. Returns the lines, and how many are refused.
function M.tell_saved(saved, present, dropped)
  local rows, lines, width, refused = compared(saved, present, dropped), {}, 0, 0
  for _, row in ipairs(rows) do width = math.max(width, #row.name) end
  for i, row in ipairs(rows) do
    if row.fate == "refused" then refused = refused + 1 end
    local joint = row.fate == "upgraded" and " " or ": "
    local text = row.text and row.fate .. joint .. row.text or row.fate
    lines[i] = row.name .. (" "):rep(width - #row.name + 2) .. text .. "\n"
  end
  return table.concat(lines), refused
end

--- Closes the components of this state's tasks that a halted job left open.
function M.halt()
  local main = require("swlua.internal.main")
  for _, task in ipairs(loaded.tasks or {}) do
    if coroutine.status(task.coroutine) ~= "dead" then main.halt(task) end
  end
end

--- The first line in which two fingerprints differ.
local function first_difference(a, b)
  local lines_a, lines_b = a:gmatch("[^\n]+"), b:gmatch("[^\n]+")
  while true do
    local line_a, line_b = lines_a(), lines_b()
    if line_a ~= line_b then return line_a or "(nothing)", line_b or "(nothing)" end
    if line_a == nil then return "(the same)", "(the same)" end
  end
end

--- Raises when this state's job is not the main state's.
function M.compare(fingerprint)
  local own = loaded.job:fingerprint()
  if own == fingerprint then return end
  local first, second = first_difference(fingerprint, own)
  error({ text = ("%s: the script built two different jobs: it is executed once per worker and must build the same "
    .. "each time (first: %s; then: %s)"):format(loaded.config.path, first, second) }, 0)
end

--- Makes the tasks of a worker (light userdata).
function M.start(worker)
  local runtime = require("swlua.internal.runtime")
  loaded.tasks = runtime.start(worker, loaded.job, { strict = loaded.config.sim and true or false })
  if loaded.config.interpreted then
    require("swlua.internal.stuck").watch(loaded.tasks, loaded.config, loaded.job.settings.watchdog_ms)
  end
  lock_globals()
end

-- Telling ------------------------------------------------------------------------------------------------------------

local function problem_line(problem)
  if problem.line then return ("%s:%d: %s\n"):format(problem.file, problem.line, problem.text) end
  return ("%s: %s\n"):format(problem.file, problem.text)
end

--- What the job asks for and this version does not give yet.
local function missing_guarantees(job)
  local settings, lines = job.settings, {}
  if settings.backpressure.policy ~= "block" then
    lines[#lines + 1] = ('%s: backpressure policy "%s" is not available in this version: full channels block\n')
      :format(tostring(job), settings.backpressure.policy)
  end
  return lines
end

--- Names of the components that hold state, which goes when the job ends, in one line; empty when there are none.
function M.state_not_kept(job)
  local names = {}
  for _, component in ipairs(job.components) do
    if has_state(component) then names[#names + 1] = component.name end
  end
  return table.concat(names, ", ")
end

--- Warnings about a job, a line each.
function M.warnings(job)
  local lines = missing_guarantees(job)
  for _, problem in ipairs(job:warnings()) do lines[#lines + 1] = problem_line(problem) end
  for _, name in ipairs(sw._unread_args()) do
    lines[#lines + 1] = ("--set %s: the script never reads sw.args.%s\n"):format(name, name)
  end
  return table.concat(lines)
end

--- Every problem of the script of `config`: problems, warnings, count.
function M.check(config)
  order.install()
  local problems, job = check.with_collection(function() return run_script(config) end)
  local lines = {}
  for i, problem in ipairs(problems) do lines[i] = problem_line(problem) end
  return table.concat(lines), job and M.warnings(job) or "", #problems
end

return M
