--- What becomes of an event whose component failed on it: the job fails, the event is skipped, or it is set aside.
-- Cold code: it runs once per error, not per event.
local f = require("swlua.internal.ffi")
local records = require("swlua.internal.records")
local core, ffi = f.core, f.ffi

local M = {}

local function text_of(err)
  if type(err) == "string" then return err end
  if type(err) == "table" and rawget(err, "sw_text") then return err.sw_text end
  local ok, text = pcall(tostring, err)
  return ("(error object is a %s value%s)"):format(type(err), ok and type(err) ~= "table" and ": " .. text or "")
end

local TEXT_MAX = 64 * 1024

--- Message handler for xpcall around user code: keeps the text and where it came from.
function M.trace(err)
  local text = text_of(err)
  if #text > TEXT_MAX then text = text:sub(1, TEXT_MAX) .. "..." end
  local stack = debug.traceback("", 2):gsub("\n[^\n]*swlua/internal/[^\n]*", "")
    :gsub("\n%s*%[C%]: in function 'xpcall'", "")
  return { sw_text = text, traceback = text .. stack }
end

--- Where a function stands in the user's script.
function M.location(fn)
  local info = type(fn) == "function" and debug.getinfo(fn, "S")
  return info and ("%s:%d"):format(info.short_src, info.linedefined)
end

local function plain(event)
  if type(event) == "cdata" then
    local schema = records.schema_of(event)
    return schema and records.to_table(event, schema) or tostring(event)
  end
  return event
end

--- Stops this task for good; the engine ends the job at its next look.
local function halt()
  while pcall(coroutine.yield, f.FAILED) do end -- Resumed only by mistake.
end

--- Makes x.fail for a component. Where events are acknowledged, "fail" has the event at work replayed.
--   x.name, x.number, x.job, x.policy, x.fn (for its place in the script), x.instance, x.task_pointer
--   x.set_aside(letter, time): hands a dead letter on
function M.handler(x)
  local where = M.location(x.fn)
  local who = ("%s/%s#%d"):format(x.job, x.name, x.number)
  local limiter = { second = 0, count = 0, hidden = 0 }

  local function log(text)
    local second = math.floor(tonumber(x.task.now_ms) / 1000)
    if second ~= limiter.second then
      if limiter.hidden > 0 then core.log("warn", who, limiter.hidden .. " more errors were not logged") end
      limiter.second, limiter.count, limiter.hidden = second, 0, 0
    end
    limiter.count = limiter.count + 1
    if limiter.count > 5 then limiter.hidden = limiter.hidden + 1 return end
    core.log("warn", who, text)
  end

  return function(err, event, time)
    local text = text_of(err)
    local traceback = type(err) == "table" and err.traceback or text
    local stack = traceback:sub(#text + 1)
    if where and not text:find(":%d+:") then text = where .. ": " .. text end
    x.instance.errors = x.instance.errors + 1
    if x.policy == "fail" and x.has_acks and f.C.swffi_acks_fail(x.task) ~= 0 then
      core.note_error(x.task_pointer, ("%s: %s%s"):format(who, text, stack))
      return log(text)
    end
    if x.policy == "fail" then
      x.flush_collected() -- What was emitted before the error goes out.
      core.fail(x.task_pointer, 1, ("%s: %s%s"):format(who, text, stack))
      return halt()
    end
    log(text)
    if x.policy == "skip" then return end
    x.instance.dead_letters = x.instance.dead_letters + 1
    local at = time
    if at == nil or at ~= at or at == math.huge or at == -math.huge then at = tonumber(x.task.now_ms) end
    x.set_aside({ component = x.name, instance = x.number, error = text, traceback = traceback,
      event = plain(event), time = at }, at)
  end
end

--- An error of the engine's C side on this task, as text.
function M.task_error(task)
  return ffi.string(task.err.text)
end

M.halt = halt
return M
