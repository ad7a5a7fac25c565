--- Power losses: what a run writes, syncs and renames is recorded and cut anywhere; the job goes on with what is left.
local disk = require("tests.crash.disk")
local jobs = require("tests.crash.job")
local process = require("tests.crash.process")

local M = {}

local EVENTS, RATE = 2000, 8000

--- Runs the job once and records what it writes.
local function record(library, set)
  local job = jobs.new({ events = EVENTS, set = set })
  local log = job.folder .. "-record"
  local output = job:run({ LD_PRELOAD = library, SWLUA_RECORD_DIR = job.folder, SWLUA_RECORD_LOG = log })
  local records = disk.read(log)
  os.remove(log)
  return job, output, records
end

local function restored_from(job)
  local report = process.read(job.folder .. "/report.json") or ""
  return tonumber(report:match('"restored_from":(%d+)') or "0")
end

--- Lets the job go on in an image. Why it is not what it has to be; nil if it is.
local function problem_of(job, expected, newest)
  local ok, problem = pcall(job.run, job, nil, { "--set", "rate=1000000" })
  if not ok then return problem end
  if restored_from(job) < newest then
    return ("checkpoint %d had been reported, and it went on from %d"):format(newest, restored_from(job))
  end
  return job:compare_bytes(expected)
end

--- Cuts the records at `count` random places. Returns the problems.
local function cut(job, records, expected, count, ignores_syncs)
  local at, problems = {}, {}
  for i = 1, count do at[i] = math.random(1, #records) end
  table.sort(at)
  local model, done = disk.new(job.folder, ignores_syncs), 0
  for i = 1, count do
    while done < at[i] do
      done = done + 1
      model:step(records[done])
    end
    job:reset()
    model:image(job.folder)
    local problem = problem_of(job, expected, model.newest)
    if problem then problems[#problems + 1] = ("cut behind record %d: %s"):format(done, problem) end
  end
  return problems
end

--- Every reported checkpoint and every committed line is there, and the output is the same.
function M.losses(t, library, count)
  for _, set in ipairs({ { rate = RATE }, { rate = RATE, shape = "line" } }) do
    local job, expected, records = record(library, set)
    local problems = cut(job, records, expected, count / 2, false)
    for _, problem in ipairs(problems) do t:check("power loss", problem) end
    t:check("power losses", #problems > 0 and "see above" or nil)
    t.passed = t.passed + count / 2 - #problems
    job:remove()
  end
end

--- The proof that this sees anything: where no sync counts, it does.
function M.without_syncs(t, library, count)
  local job, expected, records = record(library, { rate = RATE })
  local problems = cut(job, records, expected, count, true)
  t:check(("power losses without syncs: %d of %d images are bad"):format(#problems, count),
    #problems < count / 4 and "too few to believe in the test" or nil)
  job:remove()
end

return M
