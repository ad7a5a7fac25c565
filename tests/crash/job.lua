--- A job of tests/crash/jobs in a folder of its own: run to its end, killed and started again, its output read beside
-- it and compared.
local process = require("tests.crash.process")

local root = io.popen("pwd"):read("*l")
local M = { program = os.getenv("SWLUA") or root .. "/build/swlua" }

--- Where jobs live: a kill loses nothing that was written, so memory does, and is fast.
M.temporary = os.getenv("TMPDIR") or (process.is_folder("/dev/shm") and "/dev/shm" or "/tmp")

local STARTS_MAX = 400 -- of one job until it has to be at its end

---@class swlua.crash.Job
---@field folder string
---@field arguments string[] of `swlua run`
---@field seen string what a reader of the output has seen
---@field kills integer
---@field starts integer
local Job = {}
Job.__index = Job

--- Writes the input of a job: `count` numbered lines, dealt out to `files` files.
local function write_input(folder, count, files)
  local parts = {}
  for f = 1, files do parts[f] = {} end
  for i = 1, count do
    local part = parts[(i - 1) % files + 1]
    part[#part + 1] = ('{"i":%d,"k":"k%d","g":%d}\n'):format(i, i * i % 97, i % 5)
  end
  for f = 1, files do process.write(("%s/input-%d.jsonl"):format(folder, f), table.concat(parts[f])) end
end

--- Kills the supervisor. The engine's process ends with it, and its lock too.
local function kill_all(child)
  local began = process.now()
  child:kill()
  while child:has_heirs() do
    assert(process.now() - began < 10, "an engine without a supervisor goes on")
    process.yield()
  end
end

---@param options { events: integer, files: integer?, job: string?, set: table<string, any>?, arguments: string[]? }
---@return swlua.crash.Job
function M.new(options)
  local pipe = io.popen("mktemp -d -p " .. M.temporary)
  local self = setmetatable({ folder = pipe:read("*l"), seen = "", kills = 0, starts = 0 }, Job)
  pipe:close()
  write_input(self.folder, options.events, options.files or 2)
  self.log = self.folder .. "/log"
  self.arguments = { M.program, "run", ("%s/tests/crash/jobs/%s.lua"):format(root, options.job or "counting"),
    "--state", "state", "--progress", "off", "--report", "report.json", "--workers", "2", "--from", "latest" }
  for name, value in pairs(options.set or {}) do
    self.arguments[#self.arguments + 1] = "--set"
    self.arguments[#self.arguments + 1] = ("%s=%s"):format(name, tostring(value))
  end
  for _, argument in ipairs(options.arguments or {}) do self.arguments[#self.arguments + 1] = argument end
  return self
end

--- Ids of the checkpoints in its state directory, ascending, and the greatest (0: none).
function Job:checkpoints()
  local ids = {}
  for _, name in ipairs(process.list(self.folder .. "/state/checkpoints")) do
    local id = name:match("^(%d+)%.mdb$") or name:match("^(%d+)%.full%.mdb$")
    if id then ids[#ids + 1] = tonumber(id) end
  end
  table.sort(ids)
  return ids, ids[#ids] or 0
end

--- Kills it, and waits until nobody has its state directory.
function Job:kill(child)
  self.kills = self.kills + 1
  kill_all(child)
end

--- Empties its folder of all but the input, as if it had never run.
function Job:reset()
  process.shell("cd '%s' && find . -mindepth 1 -maxdepth 1 ! -name 'input-*' -exec rm -rf {} +", self.folder)
  self.seen, self.kills, self.starts = "", 0, 0
end

function Job:remove()
  process.shell("rm -rf '%s'", self.folder)
end

---@param environment table<string, string>?
---@param extra string[]? further arguments
function Job:start(environment, extra)
  local arguments = { unpack(self.arguments) }
  for _, argument in ipairs(extra or {}) do arguments[#arguments + 1] = argument end
  self.starts = self.starts + 1
  assert(self.starts <= STARTS_MAX, "the job comes to no end")
  return process.start(arguments, { folder = self.folder, log = self.log, environment = environment })
end

--- Reads on in the output, as `tail -f` would.
function Job:look()
  local file = io.open(self.folder .. "/output.jsonl", "rb")
  if not file then return end
  file:seek("set", #self.seen)
  self.seen = self.seen .. file:read("*a")
  file:close()
end

function Job:output()
  return process.read(self.folder .. "/output.jsonl") or ""
end

function Job:said()
  return process.read(self.log) or ""
end

--- Runs it to its end without disturbing it.
---@return string output
function Job:run(environment, extra)
  local status = self:start(environment, extra):wait(function() self:look() end)
  if status ~= 0 then error(("exit status %d: %s"):format(status, self:said())) end
  self:look()
  return self:output()
end

--- Starts it and kills it again after a time drawn below `seconds`, until it has come to its end or was killed
-- `kills_max` times; then lets it end. `victim(child)` (may be nil) kills in its own way.
function Job:run_with_kills(seconds, kills_max, victim)
  while self.kills < kills_max do
    local child = self:start()
    local until_then = process.now() + math.random() * seconds
    while process.now() < until_then and not child:is_over() do
      self:look()
      process.yield()
    end
    if child:is_over() then
      if child.status ~= 0 then error(("exit status %d: %s"):format(child.status, self:said())) end
      break
    end
    if victim then victim(child) end
    kill_all(child)
    self.kills = self.kills + 1
    self:look()
  end
  if not self:is_finished() then self:run() end
end

--- Runs it to its end while only the engine's process is killed, at random times below `seconds` and `kills_max` times,
-- and restarted by the supervisor.
function Job:run_with_engine_kills(seconds, kills_max)
  local child = self:start()
  local due = process.now() + math.random() * seconds
  local status = child:wait(function()
    self:look()
    if process.now() < due or self.kills >= kills_max then return end
    for _, pid in ipairs(child:children()) do
      process.kill(pid)
      self.kills = self.kills + 1
    end
    due = process.now() + math.random() * seconds
  end)
  if status ~= 0 then error(("exit status %d: %s"):format(status, self:said())) end
  self:look()
end

--- Did its last run come to its end?
function Job:is_finished()
  local report = process.read(self.folder .. "/report.json") or ""
  return report:find('"status":"finished"', 1, true) ~= nil
end

--- Why what a reader has seen is not the beginning of the output; nil if it is.
function Job:compare_seen()
  local output = self:output()
  local lines = self.seen:match("^(.*\n)") or ""
  if output:sub(1, #lines) == lines then return nil end
  local at = 1
  while output:byte(at) == lines:byte(at) do at = at + 1 end
  return ("a reader saw at byte %d: %q, and there is: %q"):format(at, lines:sub(at, at + 100), output:sub(at, at + 100))
end

local function counts(text)
  local of = {}
  for line in text:gmatch("[^\n]+") do of[line] = (of[line] or 0) + 1 end
  return of
end

--- Why the output is not this text, line by line in any order; nil if it is. `is_at_least`: lines may come again.
function Job:compare_lines(expected, is_at_least)
  local got, due = counts(self:output()), counts(expected)
  for line, n in pairs(due) do
    local has = got[line] or 0
    if has < n or (has > n and not is_at_least) then return ("line %s: %d times, not %d"):format(line, has, n) end
  end
  for line in pairs(got) do
    if not due[line] and not is_at_least then return ("line %s: unexpected"):format(line) end
  end
end

function Job:compare_bytes(expected)
  if self:output() == expected then return nil end
  return self:compare_lines(expected) or "the lines are in another order"
end

return M
