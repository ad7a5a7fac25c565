--- Table events on their way out of a task: collected, then encoded and sent in one call (core/script/encode.c).
local f = require("swlua.internal.ffi")
local values = require("swlua.values")
local ffi, core = f.ffi, f.core

local COLLECTED_MAX = 64 -- as COLLECT in stages.lua
local istype, int64, uint64 = ffi.istype, f.int64, f.uint64

local M = {}

--- The halves of a 64-bit integer; nothing for other cdata.
local function wide(v)
  local is_unsigned = istype(uint64, v)
  if not is_unsigned and not istype(int64, v) then return end
  local bits = ffi.cast(uint64, v)
  return tonumber(bits / 4294967296ULL), tonumber(bits % 4294967296ULL), is_unsigned
end

--- What collects for a port or a sink (light userdata, one of them nil): a function that makes a stage of it, or, where
-- nothing may be collected, one that sends at once, behind what others have collected. What comes by several stages
-- goes out in the order in which it came. `direct(event, time)` sends one event by itself: records, and what cannot be
-- sent this way, for which it finds the reason and fails the event.
function M.stages(task, x, port, sink, direct)
  local times = ffi.new("double[?]", COLLECTED_MAX + 1)
  local stamps = ffi.new("uint32_t[?]", COLLECTED_MAX + 1)
  local watermarks = ffi.new("int64_t[?]", COLLECTED_MAX + 1)
  local times_p, stamps_p = ffi.cast("double *", times), ffi.cast("uint32_t *", stamps)
  local watermarks_p = ffi.cast("int64_t *", watermarks)
  local anchors = task.has_acks and ffi.new("sw_anchor[?]", COLLECTED_MAX + 1) or nil
  local anchors_p = anchors and ffi.cast("sw_anchor *", anchors)
  local box = { count = 0, next = 1, events = {}, times = times, stamps = stamps, watermarks = watermarks,
    anchors = anchors_p, anchor = anchors }
  local events, T = box.events, task.T

  --- Sends one event by itself, as the event at work.
  local function direct_alone(event, time, index)
    if not anchors then return direct(event, time) end
    f.C.swffi_acks_open_reserved(T, anchors_p + index)
    direct(event, time)
    f.C.swffi_acks_close(T)
  end

  --- Sends what is collected. An event counts as sent before it goes its own way: should it end the job, the rest is
  -- sent from there.
  local function flush()
    local from, count, is_over = box.next, box.count, false
    while from <= count do
      local rc
      from, rc = core.send_batch(task.pointer, port, sink, events, from, count, times_p, stamps_p, watermarks_p,
        values.null, values.array_metatable, wide, is_over, anchors_p)
      if rc == f.FULL and not is_over then
        local at = T.at
        is_over = not pcall(coroutine.yield, f.WAIT_ROOM)
        T.at = at
        task.read_clock()
      elseif rc ~= 0 then
        box.next = from + 1
        direct_alone(events[from], times[from], from)
        from = from + 1
      end
    end
    box.count, box.next = 0, 1
    for i = 1, count do events[i] = nil end
  end

  local function send_behind(event, time)
    if box.count > 0 then flush() end
    return direct(event, time)
  end

  task.collectors[#task.collectors + 1] = flush
  return function(may_collect)
    if not may_collect then return send_behind end
    local stages = core.chunk("swlua.internal.stages")()
    local make = anchors and stages.collected_acked or stages.collected
    return make(x, box, flush, direct)
  end
end

return M
