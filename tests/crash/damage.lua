--- Checkpoints that are damaged, a disk that is full, and jobs that have changed since.
local jobs = require("tests.crash.job")
local process = require("tests.crash.process")

local M = {}

local EVENTS, RATE = 6000, 12000

--- A job killed amid its work, when it has taken a few checkpoints and shown rows; and what a run without kills gives.
local function killed_job(set, files)
  local job = jobs.new({ events = EVENTS, files = files, set = set })
  local expected = job:run()
  job:reset()
  local child = job:start(nil, { "--set", "rate=" .. RATE })
  child:wait(function()
    job:look()
    if #job:checkpoints() >= 6 and #job.seen > 20000 then job:kill(child) end
  end)
  assert(child.status == 137, "it came to its end")
  process.shell("rm -rf '%s-kept' && cp -a '%s' '%s-kept'", job.folder, job.folder, job.folder)
  return job, expected
end

--- Puts the folder back to where the kill left it.
local function put_back(job)
  process.shell("rm -rf '%s' && cp -a '%s-kept' '%s'", job.folder, job.folder, job.folder)
  job.starts = 0
  process.write(job.log, "")
end

local function remove(job)
  job:remove()
  process.shell("rm -rf '%s-kept'", job.folder)
end

local damages = {
  ["a flipped bit"] = function(path)
    local bytes = process.read(path)
    local at = math.random(#bytes)
    local flipped = string.char(bit.bxor(bytes:byte(at), 2 ^ math.random(0, 7)))
    process.write(path, bytes:sub(1, at - 1) .. flipped .. bytes:sub(at + 1))
  end,
  ["a cut"] = function(path)
    local bytes = process.read(path)
    process.write(path, bytes:sub(1, math.random(0, #bytes - 1)))
  end,
  ["a page of zeros"] = function(path)
    local bytes = process.read(path)
    local at = math.random(0, math.floor((#bytes - 1) / 4096)) * 4096
    process.write(path, (bytes:sub(1, at) .. ("\0"):rep(4096) .. bytes:sub(at + 4097)):sub(1, #bytes))
  end,
  ["a missing file"] = function(path) os.remove(path) end,
}

--- The newest is left out, loudly, and the result is exact.
function M.newest(t, rounds)
  local job, expected = killed_job({})
  local _, newest = job:checkpoints()
  for name, damage in pairs(damages) do
    for round = 1, rounds do
      put_back(job)
      damage(("%s/state/checkpoints/%d.mdb"):format(job.folder, newest))
      local ok, problem = pcall(job.run, job)
      if ok and not job:said():find(("checkpoint %d"):format(newest), 1, true) then
        ok, problem = false, "nothing was said of it: " .. job:said()
      end
      t:check(("%s in the newest checkpoint, round %d"):format(name, round),
        not ok and problem or job:compare_bytes(expected))
    end
  end
  remove(job)
end

--- Nothing is started, and why is said.
function M.all(t)
  local job = killed_job({})
  local ids = job:checkpoints()
  local before = job:output()
  for _, name in ipairs(process.list(job.folder .. "/state/checkpoints")) do
    if name:find("%.mdb$") then damages["a flipped bit"](job.folder .. "/state/checkpoints/" .. name) end
  end
  process.write(job.log, "")
  local status = job:start():wait()
  local said = job:said()
  t:check("all checkpoints damaged: exit status", status ~= 4 and status .. ": " .. said or nil)
  t:check("all checkpoints damaged: said which and why",
    not (said:find("checkpoint " .. ids[#ids], 1, true) and said:find("damaged", 1, true)) and said or nil)
  t:check("all checkpoints damaged: the output stays", job:output() ~= before and "it was changed" or nil)
  remove(job)
end

--- Dying while an older checkpoint is gone back to, at each point of that.
function M.going_back(t)
  local job, expected = killed_job({})
  local _, newest = job:checkpoints()
  local points = { "restore.before-set-aside", "restore.after-set-aside", "file-cut-sync", "file-cut-rename",
    "file-cut-renamed", "file-cut", "file-was-cut" }
  for _, point in ipairs(points) do
    put_back(job)
    process.shell("cat '%s/log' >/dev/null", job.folder)
    damages["a cut"](("%s/state/checkpoints/%d.mdb"):format(job.folder, newest))
    damages["a cut"](("%s/state/checkpoints/%d.mdb"):format(job.folder, newest - 1))
    local status = job:start({ SWLUA_CRASH_AT = point .. ":1" }):wait()
    t:check("killed at " .. point .. ": was it?", status == 0 and "it was not" or nil)
    local ok, problem = pcall(job.run, job)
    t:check("killed at " .. point .. " while going back", not ok and problem or job:compare_bytes(expected))
  end
  remove(job)
end

--- With other numbers of instances than the checkpoint was taken with.
function M.rescaled(t)
  for _, case in ipairs({ { 2, 3 }, { 3, 1 }, { 1, 2 } }) do
    local job, expected = killed_job({ readers = case[1] }, 3)
    local ok, problem = pcall(job.run, job, nil, { "--set", "readers=" .. case[2] })
    t:check(("%d instances become %d"):format(case[1], case[2]), not ok and problem or job:compare_lines(expected))
    put_back(job)
    local status = job:start(nil, { "--set", "readers=" .. case[2], "--set", "rescale=no" }):wait()
    t:check(("%d instances become %d without rescale"):format(case[1], case[2]),
      not (status == 4 and job:said():find("relay", 1, true)) and status .. ": " .. job:said() or nil)
    remove(job)
  end
end

--- Why starting with these arguments is not refused with all of these words.
local function not_refused(job, arguments, ...)
  put_back(job)
  local status = job:start(nil, arguments):wait()
  local said = job:said()
  if status ~= 4 then return ("exit status %d: %s"):format(status, said) end
  for _, word in ipairs({ ... }) do
    if not said:find(word, 1, true) then return said end
  end
end

function M.changed(t)
  local job, expected = killed_job({ sums = "yes" })
  t:check("removed components are refused by name", not_refused(job, { "--set", "shape=line" }, "relay", "records"))
  put_back(job)
  local status = job:start(nil, { "--set", "shape=line", "--drop-state", "relay", "--drop-state", "records" }):wait()
  t:check("removed components are dropped", status ~= 0 and job:said() or nil)
  t:check("an older version without upgrade is refused",
    not_refused(job, { "--set", "version=2", "--set", "upgrade=no" }, "tables", "upgrade"))
  put_back(job)
  local ok, problem = pcall(job.run, job, nil, { "--set", "version=2" })
  t:check("an older version is upgraded", not ok and problem or job:compare_bytes(expected))
  remove(job)
  job = killed_job({ version = 3 })
  t:check("a newer version is refused", not_refused(job, { "--set", "version=2" }, "tables", "newer"))
  remove(job)
end

--- Checkpoints fail while the disk is full; the job goes on, and the next one holds all.
function M.full_disk(t, library, rounds)
  for round = 1, rounds do
    local job = jobs.new({ events = EVENTS, set = {} })
    local expected = job:run()
    job:reset()
    local full = job.folder .. "-full"
    local child = job:start({ LD_PRELOAD = library, SWLUA_RECORD_DIR = job.folder, SWLUA_RECORD_LOG = "/dev/null",
      SWLUA_RECORD_FULL = full }, { "--set", "rate=" .. RATE })
    local failed, resumed
    local status = child:wait(function()
      local _, newest = job:checkpoints()
      if not failed and newest >= 3 * round then
        process.write(full, "")
        failed = newest
      elseif failed and not resumed and job:said():find("checkpoint %d+ failed") then
        os.remove(full)
        resumed = true
      end
    end)
    os.remove(full)
    t:check("a full disk: the job goes on", (status ~= 0 or not resumed) and status .. ": " .. job:said() or nil)
    t:check("a full disk: nothing is lost", job:compare_bytes(expected))
    job:remove()
  end
end

return M
