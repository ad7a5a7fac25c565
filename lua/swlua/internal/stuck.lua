--- Catches a call of user code that does not return, where the watchdog has had to end the process for one before:
-- that component's code runs interpreted, so that a hook can look at it, and the call ends by an error that names the
-- line it was at.
--
--     hook, every COUNT instructions: is its code running? has an event come or gone lately? --no--> raise
--
-- A compiled loop runs no hooks, and what user code calls is not known beforehand: so nothing at all is compiled in
-- this Lua state until the call has been caught and a checkpoint has been completed behind it.
local f = require("swlua.internal.ffi")
local ffi, C = f.ffi, f.C
local sethook, getinfo = debug.sethook, debug.getinfo

local M = {}

local COUNT = 1000 -- instructions between two looks

local function is_own(source)
  return source:match("^@swlua/") ~= nil or source:match("/lua/swlua/") ~= nil
end

--- The instances to watch among the tasks of this state.
local function watched_of(tasks, interpreted)
  local watched = {}
  for _, task in ipairs(tasks) do
    for _, x in ipairs(task.order) do
      if x.index < 256 and interpreted[x.index] ~= 0 then watched[#watched + 1] = { x = x, task = x.task } end
    end
  end
  return watched
end

local function pulse_of(x)
  local instance = x.instance
  return f.events_in(instance) + tonumber(instance.n_out + instance.errors)
end

--- Looks at one instance: has a call of its code gone on for too long?
local function is_stuck(w, limit_ms)
  local pulse, now_ms = pulse_of(w.x), tonumber(C.swffi_now_ms(w.task))
  if w.task.at ~= w.x.at or pulse ~= w.pulse then
    w.pulse, w.since_ms = pulse, now_ms
    return false
  end
  return now_ms - w.since_ms >= limit_ms
end

--- Watches the components that the supervisor's page says to be interpreted; does nothing when there are none here.
---@param tasks table of runtime.start
---@param config table with `interpreted` (uint8_t *, by component) and `checkpoints` (uint64_t *): light userdata
---@param limit_ms integer
function M.watch(tasks, config, limit_ms)
  local interpreted = ffi.cast("uint8_t *", config.interpreted)
  local checkpoints = ffi.cast("volatile uint64_t *", config.checkpoints)
  local watched, caught_at = watched_of(tasks, interpreted), nil
  if #watched == 0 then return end
  local look, count

  local function every(instructions)
    if instructions == count then return end
    count = instructions
    sethook(look, "", instructions)
  end

  local function compile_again()
    for _, w in ipairs(watched) do interpreted[w.x.index] = 0 end
    sethook()
    jit.on()
  end

  function look()
    local stuck = false
    for _, w in ipairs(watched) do stuck = is_stuck(w, limit_ms) or stuck end
    if not stuck then
      if caught_at and checkpoints[0] > caught_at then return compile_again() end
      return every(COUNT)
    end
    caught_at = checkpoints[0] + 0
    every(1) -- So a pcall of its own does not keep it going.
    local at = getinfo(2, "Sl")
    if is_own(at.source) then return end
    error(("%s:%d: this call has not returned for %d ms (watchdog)"):format(at.short_src, at.currentline, limit_ms), 0)
  end

  jit.off()
  jit.flush()
  every(COUNT)
end

return M
