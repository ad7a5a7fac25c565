--- Jobs from files to a file, killed at random times and at every crash point, and started again until they are done:
-- the output is that of a run without kills, and a reader beside it never sees a line that is taken back.
local jobs = require("tests.crash.job")
local process = require("tests.crash.process")

local M = {}

local EVENTS, RATE = 12000, 24000

--- How a job is run, and how its output is compared.
local shapes = {
  { name = "parallelism 1", set = {}, compare = "compare_bytes" },
  { name = "parallelism 2", set = { readers = 2 }, compare = "compare_lines" },
  { name = "parallelism 3, two workers", set = { readers = 3 }, files = 3, compare = "compare_lines" },
}

local expected_outputs = {}

local function set_of(shape, more)
  local set = {}
  for name, value in pairs(shape.set) do set[name] = value end
  for name, value in pairs(more or {}) do set[name] = value end
  return set
end

--- The output of a run that nothing disturbs.
local function expected(shape, events)
  local key = shape.name .. events
  if not expected_outputs[key] then
    local job = jobs.new({ events = events, files = shape.files, set = set_of(shape) })
    expected_outputs[key] = job:run()
    job:remove()
  end
  return expected_outputs[key]
end

--- Kills the engine's process alone, and then at once the supervisor, or the other way round.
local function kill_child_first(child)
  for _, pid in ipairs(child:children()) do process.kill(pid) end
end

local victims = { [1] = kill_child_first }

--- At random times: `kills` of them in all.
function M.at_random_times(t, kills)
  local done, number = 0, 0
  while done < kills do
    local shape = shapes[number % #shapes + 1]
    local job = jobs.new({ events = EVENTS, files = shape.files, set = set_of(shape, { rate = RATE }) })
    job:run_with_kills(0.35, kills - done, victims[number % 2])
    local due = expected(shape, EVENTS)
    t:check(("%d kills at random times, %s"):format(job.kills, shape.name),
      job[shape.compare](job, due) or job:compare_seen())
    done, number = done + job.kills, number + 1
    job:remove()
  end
end

--- The engine alone, which its supervisor starts again.
function M.below_the_supervisor(t, kills)
  local done, number = 0, 0
  while done < kills do
    local shape = shapes[number % #shapes + 1]
    local job = jobs.new({ events = EVENTS, files = shape.files,
      set = set_of(shape, { rate = RATE / 2, restarts = 100 }) })
    job:run_with_engine_kills(0.3, kills - done)
    t:check(("%d kills of the engine alone, %s"):format(job.kills, shape.name),
      job[shape.compare](job, expected(shape, EVENTS)) or job:compare_seen())
    done, number = done + job.kills, number + 1
    job:remove()
  end
end

--- All that the sinks of jobs/mixed.lua have shown.
local function mixed_output(job)
  local pipe = io.popen(("cd '%s' && cat short.jsonl output.jsonl $(ls custom.* 2>/dev/null | grep -v tmp)")
    :format(job.folder))
  local text = pipe:read("*a")
  pipe:close()
  return text
end

--- Several sinks, one in Lua, and sources that end at different times.
function M.several_sinks(t, kills)
  local options = { events = EVENTS, job = "mixed", set = { rate = RATE / 2 } }
  local whole = jobs.new(options)
  whole:run()
  local due, done = mixed_output(whole), 0
  whole:remove()
  while done < kills do
    local job = jobs.new(options)
    job:run_with_kills(0.3, kills - done)
    t:check(("%d kills, several sinks"):format(job.kills), mixed_output(job) ~= due and "the output differs" or nil)
    done = done + job.kills
    job:remove()
  end
end

--- At random times under at-least-once.
function M.at_least_once(t, kills)
  local done, number = 0, 0
  while done < kills do
    local shape = shapes[number % #shapes + 1]
    local job = jobs.new({ events = EVENTS, files = shape.files,
      set = set_of(shape, { rate = RATE, delivery = "at-least-once" }) })
    job:run_with_kills(0.35, kills - done)
    t:check(("%d kills under at-least-once, %s"):format(job.kills, shape.name),
      job:compare_lines(expected(shape, EVENTS), true))
    done, number = done + job.kills, number + 1
    job:remove()
  end
end

--- Names of the core's crash points, but for those of event logs and stores, which tests/state/test_log_crash.c and
-- tests/io/test_sink_crash.c pass.
function M.points()
  local pipe, names, seen = io.popen("grep -rhoE 'SW_CRASH_POINT\\(\"[^\"]+\"' core"), {}, {}
  for line in pipe:lines() do
    local name = line:match('"([^"]+)"')
    if not seen[name] and not name:find("^log%.") and not name:find("^store%-") then names[#names + 1] = name end
    seen[name] = true
  end
  pipe:close()
  table.sort(names)
  return names
end

--- What brings a run to a point: nothing, many checkpoints, or rows that are shown at once.
local ways = {
  { name = "plainly", set = {} },
  { name = "with many checkpoints", set = { rate = 6000 } },
  { name = "under at-least-once", set = { rate = 6000, delivery = "at-least-once" }, is_at_least = true },
}

--- Dies where the point is passed for the n-th time, then goes on undisturbed. Returns whether it did.
local function crash_at(t, shape, point, nth, way)
  local job = jobs.new({ events = 3000, files = shape.files, set = set_of(shape, way.set) })
  local status = job:start({ SWLUA_CRASH_AT = point .. ":" .. nth }):wait(function() job:look() end)
  local is_hit = status ~= 0
  if is_hit then job:run() end
  local compare = way.is_at_least and "compare_lines" or shape.compare
  t:check(("killed at %s, passed %d times, %s, %s"):format(point, nth, way.name, shape.name),
    job[compare](job, expected(shape, 3000), way.is_at_least) or not way.is_at_least and job:compare_seen() or nil)
  job:remove()
  return is_hit
end

--- The first way that leads to the point.
local function way_to(t, point)
  for _, way in ipairs(ways) do
    if crash_at(t, shapes[2], point, 1, way) then return way end
  end
end

--- Points that a run and its restart pass. Returns the others: they are passed by what has tests of its own.
function M.at_points(t, nths)
  local missed = {}
  for _, point in ipairs(M.points()) do
    local way = way_to(t, point)
    if not way then missed[#missed + 1] = point end
    for _, nth in ipairs(way and nths or {}) do crash_at(t, shapes[nth % 2 + 1], point, nth, way) end
  end
  return missed
end

return M
