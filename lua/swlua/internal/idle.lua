--- Sources that have fallen silent: they stop holding watermarks back, and the time of live ones goes on by the clock.
--
--     nothing to read for `after` --> IDLE row to all readers (core/run/input.h) --> and back before the next event
--
-- Only time in which the source could deliver counts: not waits for room downstream or for its rate, nor a restart.
local f = require("swlua.internal.ffi")
local C = f.C

local AFTER_MS = 10000
local MOVE_MS = 100 -- how often the watermark of a silent source is moved on
local NO, STILL, MOVING = 0, 1, 2

local M = {}
M.NO = NO

--- After how long a source counts as idle, and whether its time then goes on; nil for one that never does: input that
-- is bounded is there or has ended.
local function settings(component)
  local connector, options = component.connector, component.options
  local kind = connector and connector.type or "custom"
  local is_live = kind == "stdin" or kind == "custom"
  local is_log = kind == "log" and connector.options.follow ~= false
  if not is_live and not is_log then return nil end
  local moves = options.idle_advance
  if moves == nil then moves = is_live end
  return options.idle_ms or AFTER_MS, moves and MOVING or STILL
end

--- Watches a source: { given(), waits(is_starved) }. `send(task, kind, id)` sends an item, `move(wm)` raises the
-- watermark.
function M.watch(task, x, send, move)
  local T = task.T
  local after, mode = settings(x.component)
  local since -- engine time at which it was first found to have nothing
  local watch = {}

  --- It has something: called before that goes out.
  function watch.given()
    since = nil
    if T.idle == NO then return end
    T.idle = NO
    send(task, f.IDLE, NO)
  end

  --- It has nothing now, and T.wake_ms says until when it waits.
  function watch.waits(is_starved)
    if not after then return end
    if not is_starved then
      since = nil
      return
    end
    local now = tonumber(T.now_ms)
    since = since or now
    local wake = since + after
    if now >= wake then
      if T.idle == NO then
        T.idle = mode
        send(task, f.IDLE, mode)
      end
      if mode == STILL then return end
      local seen = C.swffi_task_source_watermark(T)
      if seen ~= f.TIME_MIN then move(seen + (now - since)) end
      wake = now + MOVE_MS
    end
    if wake < T.wake_ms then T.wake_ms = wake end
  end

  return watch
end

return M
