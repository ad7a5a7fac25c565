--- Child processes that are watched, read beside and killed; files and clocks. For tests that end programs by force.
local ffi = require("ffi")

ffi.cdef([[
typedef int pid_t;
pid_t fork(void);
int execve(const char *path, char *const argv[], char *const envp[]);
pid_t waitpid(pid_t pid, int *status, int options);
int kill(pid_t pid, int signal);
int open(const char *path, int flags, ...);
int dup2(int from, int to);
int chdir(const char *path);
int prctl(int option, ...);
int setpgid(pid_t pid, pid_t group);
int poll(void *fds, unsigned long count, int timeout_ms);
void _exit(int status);
struct swlua_time { long sec, nsec; };
int clock_gettime(int clock, struct swlua_time *now);
extern char **environ;
]])
local C = ffi.C

local O_WRITE_CREATE_APPEND, WNOHANG, MONOTONIC, PDEATHSIG, SIGKILL = 1 + 64 + 1024, 1, 1, 1, 9

local M = { SIGKILL = SIGKILL, SIGTERM = 15 }

--- Seconds of a clock that never steps back.
function M.now()
  local time = ffi.new("struct swlua_time")
  C.clock_gettime(MONOTONIC, time)
  return tonumber(time.sec) + tonumber(time.nsec) / 1e9
end

--- Gives others the processor for a moment.
function M.yield()
  C.poll(nil, 0, 1)
end

---@param path string
---@return string? text nil when there is no such file
function M.read(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local text = file:read("*a")
  file:close()
  return text
end

function M.write(path, text)
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  file:close()
end

--- Runs a command of the shell; an error if it fails.
function M.shell(command, ...)
  local text = command:format(...)
  if os.execute(text) ~= 0 then error("failed: " .. text, 2) end
end

---@return string[] names in the folder, sorted
function M.list(path)
  local pipe, names = io.popen("ls -A '" .. path .. "' 2>/dev/null"), {}
  for name in pipe:lines() do names[#names + 1] = name end
  pipe:close()
  return names
end

function M.is_folder(path)
  return os.execute("test -d '" .. path .. "'") == 0
end

--- A C array of strings, and what keeps them alive.
local function strings(list)
  local array, anchors = ffi.new("char *[?]", #list + 1), {}
  for i, text in ipairs(list) do
    anchors[i] = ffi.new("char[?]", #text + 1, text)
    array[i - 1] = anchors[i]
  end
  return array, anchors
end

local function environment(extra)
  local list, i = {}, 0
  while C.environ[i] ~= nil do
    list[#list + 1] = ffi.string(C.environ[i])
    i = i + 1
  end
  for name, value in pairs(extra or {}) do table.insert(list, 1, name .. "=" .. value) end
  return list
end

---@class swlua.crash.Child
---@field pid integer
---@field status integer? exit status, or 128 + the signal that ended it, once it has ended
local Child = {}
Child.__index = Child

--- Starts a program; what it says goes to the end of `log`. It ends with this process.
---@param arguments string[] the program's path first
---@param options { folder: string, log: string, environment: table<string, string>? }
---@return swlua.crash.Child
function M.start(arguments, options)
  local argv, argv_anchor = strings(arguments)
  local envp, envp_anchor = strings(environment(options.environment))
  local pid = C.fork()
  assert(pid >= 0, "fork failed")
  if pid == 0 then
    C.prctl(PDEATHSIG, ffi.cast("long", SIGKILL))
    C.setpgid(0, 0)
    local fd = C.open(options.log, O_WRITE_CREATE_APPEND, ffi.cast("int", 420))
    C.dup2(fd, 1)
    C.dup2(fd, 2)
    if C.chdir(options.folder) == 0 then C.execve(argv[0], argv, envp) end
    C._exit(127)
  end
  return setmetatable({ pid = pid, anchors = { argv_anchor, envp_anchor } }, Child)
end

--- Has it ended?
function Child:is_over()
  if self.status then return true end
  local status = ffi.new("int[1]")
  if C.waitpid(self.pid, status, WNOHANG) == 0 then return false end
  local signal = bit.band(status[0], 127)
  self.status = signal ~= 0 and 128 + signal or bit.rshift(status[0], 8)
  return true
end

--- Waits for its end, calling `meanwhile` (may be nil) again and again. Kills it after `seconds`, an error.
function Child:wait(meanwhile, seconds)
  local began = M.now()
  while not self:is_over() do
    if meanwhile then meanwhile() end
    if M.now() - began > (seconds or 60) then
      self:kill()
      error(("process %d did not end"):format(self.pid))
    end
    M.yield()
  end
  return self.status
end

--- Pids of its own children.
function Child:children()
  local pids = {}
  local text = M.read(("/proc/%d/task/%d/children"):format(self.pid, self.pid)) or ""
  for pid in text:gmatch("%d+") do pids[#pids + 1] = tonumber(pid) end
  return pids
end

--- Is there anybody it has started, or who was started by those, that still runs?
function Child:has_heirs()
  local pipe, found = io.popen("pgrep -g " .. self.pid), false
  for line in pipe:lines() do found = found or M.is_alive(tonumber(line)) end
  pipe:close()
  return found
end

--- Sends SIGKILL and waits for its end.
function Child:kill()
  if not self:is_over() then C.kill(self.pid, SIGKILL) end
  while not self:is_over() do M.yield() end
end

function M.kill(pid, signal)
  return C.kill(pid, signal or SIGKILL) == 0
end

--- Does any thread of the process run? One that has ended and that nobody has waited for does not; one whose first
-- thread has ended may still hold its files.
function M.is_alive(pid)
  local stat = M.read(("/proc/%d/stat"):format(pid))
  if not stat then return false end
  local fields = {}
  for field in stat:match("^.*%) (.*)$"):gmatch("%S+") do fields[#fields + 1] = field end
  return fields[1] ~= "Z" or tonumber(fields[18]) > 1
end

return M
