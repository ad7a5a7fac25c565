--- The operators behind windows and running aggregates: tables of functions like a user's, on keyed state and timers,
-- so that they are saved, restored and dealt out anew like any other.
--
--     event --> windows that hold it: panes in state --> at its end, by a timer: a row
--
-- A pane is a plain table { start, last, acc, ... } of one key and one window, `last` the time at which it ends. What
-- acc is and what becomes of it is the window's content (M.aggregated, reduced, folded, processed):
--
--     content.init() --> acc
--     content.add(acc, event, time) --> acc
--     content.merge(acc, other) --> acc, or no such function
--     content.emit(out, state, pane, time, marks)       marks: fields that say of which kind the row is, or nil
--
-- state.key holds the key's fields as rows show them, while there are panes.
local each = require("swlua.internal.each")
local values = require("swlua.values")
local pairs, max, min, floor, huge = each.pairs, math.max, math.min, math.floor, math.huge
local insert, remove = table.insert, table.remove

local M = {}

local LAST = 2 ^ 52 -- a timer for this time fires when the input has ended

local function plain(event)
  return type(event) == "cdata" and values.table(event) or event
end

-- Contents ---------------------------------------------------------------------------------------------------------

--- Puts the key, the window and the marks into a row.
local function complete(row, state, pane, marks)
  for name, value in pairs(state.key) do row[name] = value end
  row.window_start, row.window_end, row.window_count = pane.start, pane.last, pane.count
  for name, value in pairs(marks or {}) do row[name] = value end
  return row
end

--- Named aggregators.
---@param slots { name: string, aggregator: swlua.Aggregator }[]
function M.aggregated(slots)
  local count = #slots
  local function results(acc)
    local row = {}
    for i = 1, count do
      local slot = slots[i]
      row[slot.name] = slot.aggregator.result(acc, slot.name)
    end
    return row
  end
  return {
    init = function() return {} end,
    add = function(acc, event, time)
      for i = 1, count do
        local slot = slots[i]
        slot.aggregator.add(acc, slot.name, event, time)
      end
      return acc
    end,
    merge = function(acc, other)
      for i = 1, count do
        local slot = slots[i]
        slot.aggregator.merge(acc, slot.name, other)
      end
      return acc
    end,
    results = results,
    emit = function(out, state, pane, time, marks) out:emit(complete(results(pane.acc), state, pane, marks), time) end,
  }
end

--- Events reduced to one by fn(a, b). No acc stands for no event: false.
function M.reduced(fn)
  local function add(acc, event)
    if not acc then return values.copy(plain(event)) end
    return plain(fn(acc, plain(event)))
  end
  return {
    init = function() return false end,
    add = add,
    merge = add,
    emit = function(out, _, pane, time, marks)
      local row = values.copy(pane.acc)
      out:emit(complete(row, { key = {} }, pane, marks), time)
    end,
  }
end

local function window_of(state, pane, marks)
  local window = { key = pane.key, window_start = pane.start, window_end = pane.last, window_count = pane.count }
  if state.is_one_field then
    local _, value = each.next(state.key)
    window.key = value
  else
    window.key = each.next(state.key) ~= nil and values.copy(state.key) or nil
  end
  for name, value in pairs(marks or {}) do window[name] = value end
  return window
end

--- Events folded from init() by fn(acc, event); row(acc, window) makes the row.
function M.folded(init, fn, row)
  return {
    init = init,
    add = function(acc, event) return fn(acc, plain(event)) end,
    emit = function(out, state, pane, time, marks)
      if row then
        local made = row(values.copy(pane.acc), window_of(state, pane, marks))
        if made ~= nil then out:emit(made, time) end
        return
      end
      local own = type(pane.acc) == "table" and values.copy(pane.acc) or { value = pane.acc }
      out:emit(complete(own, state, pane, marks), time)
    end,
  }
end

--- `out` of a window's function: as `out`, but what it emits has the window's time.
local function window_out(out, box)
  local proxy = {}
  for _, name in ipairs({ "emit_to", "timer", "processing_timer", "cancel", "now", "ack", "fail" }) do
    proxy[name] = function(_, ...) return out[name](out, ...) end
  end
  proxy.emit = function(_, event, time) return out:emit(event, time or box.time) end
  proxy.emit_to = function(_, output, event, time) return out:emit_to(output, event, time or box.time) end
  return setmetatable(proxy, { __index = function(_, name) return name == "time" and box.time or out[name] end })
end

--- Events kept for fn(window, events, out).
function M.processed(fn)
  local outs = setmetatable({}, { __mode = "k" })
  local function append(acc, event)
    acc[#acc + 1] = plain(event)
    return acc
  end
  return {
    init = function() return {} end,
    add = append,
    merge = function(acc, other)
      for _, event in ipairs(other) do acc[#acc + 1] = event end
      return acc
    end,
    emit = function(out, state, pane, time, marks)
      local own = outs[out]
      if not own then
        own = { box = {} }
        own.out = window_out(out, own.box)
        outs[out] = own
      end
      own.box.time = time
      fn(window_of(state, pane, marks), values.array(values.copy(pane.acc)), own.out)
    end,
  }
end

--- A content that keeps the events and adds them up when it is emitted: for what cannot be merged.
local function replayed(content)
  return {
    init = function() return {} end,
    add = function(acc, event, time)
      acc[#acc + 1] = { event = plain(event), time = time }
      return acc
    end,
    merge = function(acc, other)
      for _, item in ipairs(other) do acc[#acc + 1] = item end
      return acc
    end,
    emit = function(out, state, pane, time, marks)
      local acc = content.init()
      for _, item in ipairs(pane.acc) do acc = content.add(acc, values.copy(item.event), item.time) end
      local whole = { start = pane.start, last = pane.last, count = pane.count, acc = acc }
      content.emit(out, state, whole, time, marks)
    end,
  }
end

-- Keys -------------------------------------------------------------------------------------------------------------

--- Makes state.key of an event, unless it is there.
local function key_writer(key)
  if key.fields then
    return function(state, event)
      if state.key then return end
      local fields = {}
      for _, name in ipairs(key.fields) do fields[name] = event[name] end
      state.key, state.is_one_field = fields, #key.fields == 1
    end
  end
  return function(state, event)
    if state.key then return end
    state.key, state.is_one_field = { key = key.fn and key.fn(event) }, true
  end
end

local function forget_key(state)
  state.key, state.is_one_field = nil, nil
end

-- Time windows -----------------------------------------------------------------------------------------------------

--- Marks of a row where rows of several kinds may come of one window.
local function marker(window)
  local is_marked = window.every_ms or window.every_count or window.lateness_ms
  return function(kind, replaces)
    return is_marked and { window_state = kind, replaces = replaces } or nil
  end
end

--- The next multiple of `every` behind `time`.
local function next_multiple(time, every)
  return time - time % every + every
end

--- Early rows: after every Nth event at once, or by a timer once there is something new.
local function early(window, content, mark)
  local every_ms, every_count = window.every_ms, window.every_count
  local function emit(out, state, pane)
    pane.due = nil
    content.emit(out, state, pane, min(pane.last - 1, out.time), mark("early"))
  end
  --- Behind an event of a pane that is open, at `now`, by the clock that the window goes by.
  local function note(out, state, pane, now)
    if every_count then
      pane.n = (pane.n or 0) + 1
      if pane.n % every_count == 0 then emit(out, state, pane) end
    elseif every_ms and not pane.due then
      local due = next_multiple(now, every_ms)
      if due >= pane.last then return end
      pane.due = due
      if window.is_by_clock then out:processing_timer(due - now) else out:timer(due) end
    end
  end
  return note, emit
end

local function new_pane(state, start, length, content, at)
  local pane = { start = start, last = start + length, acc = content.init() }
  insert(state.panes, at, pane)
  return pane
end

--- Place of the pane that starts at `start`, or where it belongs.
local function place_of(panes, start)
  local at = #panes
  while at > 0 and panes[at].start > start do at = at - 1 end
  if at > 0 and panes[at].start == start then return at, panes[at] end
  return at + 1, nil
end

--- Windows of fixed length, by event time or by the clock.
---@param window table length_ms, slide_ms, offset_ms, lateness_ms, every_ms, every_count, is_by_clock
function M.timed(window, content, key)
  local length, slide, offset = window.length_ms, window.slide_ms, window.offset_ms
  local lateness, is_by_clock = window.lateness_ms or 0, window.is_by_clock
  local write_key, mark = key_writer(key), marker(window)
  local note_early, emit_early = early(window, content, mark)

  local function fire(out, state, pane, kind)
    pane.is_fired, pane.due = true, nil
    content.emit(out, state, pane, pane.last - 1, mark(kind))
  end
  local function open(out, state, start, at, now, watermark)
    local pane = new_pane(state, start, length, content, at)
    if is_by_clock then
      out:processing_timer(pane.last - now)
    else
      if pane.last > watermark then out:timer(pane.last) end
      if lateness > 0 then out:timer(pane.last + lateness) end
    end
    return pane
  end
  local function take(out, state, event, start, now, watermark)
    local at, pane = place_of(state.panes, start)
    pane = pane or open(out, state, start, at, now, watermark)
    pane.acc = content.add(pane.acc, event, now)
    if pane.is_fired then
      fire(out, state, pane, "corrected")
    elseif pane.last <= watermark then
      fire(out, state, pane, "final")
    else
      note_early(out, state, pane, is_by_clock and now or max(now, watermark, pane.start))
    end
  end
  local function is_done(pane, time) return pane.last + lateness <= time end

  return {
    apply = function(_, event, out, state)
      local now = is_by_clock and out:now() or out.time
      local watermark = is_by_clock and -huge or out.watermark
      local newest = now - (now - offset) % slide
      local oldest = newest - floor((length - (now - newest) - 1) / slide) * slide
      if newest + length + lateness <= watermark then return out:late(event) end
      write_key(state, event)
      state.panes = state.panes or {}
      for start = oldest, newest, slide do
        if start + length + lateness > watermark then take(out, state, event, start, now, watermark) end
      end
    end,
    on_timer = function(_, time, out, state)
      local panes = state.panes or {}
      for _, pane in ipairs(panes) do
        if not pane.is_fired and pane.last <= time then
          fire(out, state, pane, "final")
        elseif pane.due and pane.due <= time then
          emit_early(out, state, pane)
        end
      end
      while panes[1] and is_done(panes[1], time) do remove(panes, 1) end
      if #panes == 0 then
        state.panes = nil
        forget_key(state)
      end
    end,
  }
end

-- Sessions ---------------------------------------------------------------------------------------------------------

--- Windows that end when for `gap_ms` nothing came. A session fires once the watermark is behind its end, for an event
--- at its end still belongs to it.
function M.session(window, content, key)
  content = content.merge and content or replayed(content)
  local gap, lateness, is_by_clock = window.gap_ms, window.lateness_ms or 0, window.is_by_clock
  local write_key, mark = key_writer(key), marker(window)
  local note_early, emit_early = early(window, content, mark)

  local function schedule(out, pane, now, watermark)
    if is_by_clock then
      out:processing_timer(pane.last + 1 - now, pane.timer)
    elseif pane.last + 1 > watermark then
      out:timer(pane.last + 1, pane.timer)
    end
    if lateness > 0 then out:timer(pane.last + 1 + lateness, pane.timer .. "+") end
  end
  local function fire(out, state, pane, kind)
    local replaces = pane.replaces
    pane.is_fired, pane.due, pane.replaces = true, nil, nil
    content.emit(out, state, pane, pane.last - 1, mark(kind, replaces))
  end
  --- What has been sent of a pane is no longer true.
  local function replace(pane, sent)
    pane.replaces = pane.replaces or {}
    insert(pane.replaces, { window_start = sent.start, window_end = sent.last })
  end
  local function extend(pane, event, time)
    local start, last = min(pane.start, time), max(pane.last, time + gap)
    if pane.is_fired and (start < pane.start or last > pane.last) then replace(pane, pane) end
    pane.start, pane.last = start, last
    pane.acc = content.add(pane.acc, event, time)
    pane.was_fired, pane.is_fired = pane.was_fired or pane.is_fired, nil
  end
  --- Takes in the neighbours that the pane at `at` now touches.
  local function absorb(out, panes, at)
    local pane, other = panes[at], panes[at + 1]
    while other and other.start <= pane.last do
      if other.is_fired then replace(pane, other) end
      pane.acc = content.merge(pane.acc, other.acc)
      pane.last = max(pane.last, other.last)
      pane.was_fired = pane.was_fired or other.is_fired or other.was_fired
      out:cancel(other.timer)
      if lateness > 0 then out:cancel(other.timer .. "+") end
      remove(panes, at + 1)
      other = panes[at + 1]
    end
  end
  local function first_touched(panes, time)
    local at = 1
    while panes[at] and panes[at].last < time do at = at + 1 end
    return at
  end

  return {
    apply = function(_, event, out, state)
      local now = is_by_clock and out:now() or out.time
      local watermark = is_by_clock and -huge or out.watermark
      local panes = state.panes or {}
      local at = first_touched(panes, now)
      local pane = panes[at]
      if not (pane and pane.start <= now + gap) then
        if now + gap + lateness < watermark then return out:late(event) end
        pane = { start = now, last = now, acc = content.init(), timer = tostring(now) }
        insert(panes, at, pane)
      end
      write_key(state, event)
      state.panes = panes
      local ended = pane.last
      extend(pane, event, now)
      absorb(out, panes, at)
      if pane.last ~= ended then schedule(out, pane, now, watermark) end
      if pane.last < watermark then
        fire(out, state, pane, pane.was_fired and "corrected" or "final")
      elseif not pane.was_fired then
        note_early(out, state, pane, is_by_clock and now or max(now, watermark))
      end
    end,
    on_timer = function(_, time, out, state)
      local panes = state.panes or {}
      for _, pane in ipairs(panes) do
        if not pane.is_fired and pane.last < time then
          fire(out, state, pane, pane.was_fired and "corrected" or "final")
        elseif pane.due and pane.due <= time then
          emit_early(out, state, pane)
        end
      end
      for i = #panes, 1, -1 do
        if panes[i].last + lateness < time then remove(panes, i) end
      end
      if #panes == 0 then
        state.panes = nil
        forget_key(state)
      end
    end,
  }
end

-- Without bounds, and by count -------------------------------------------------------------------------------------

--- The times of the first and the last event of a pane.
local function stretch(pane, time)
  pane.start, pane.last = min(pane.start or time, time), max(pane.last or time, time)
end

--- One window; fires by `every`, and when the input ends.
function M.unbounded(window, content, key)
  local write_key, mark = key_writer(key), marker(window)
  local every_ms, every_count, is_by_clock = window.every_ms, window.every_count, window.is_by_clock
  local function emit_early(out, state, pane)
    pane.due, pane.n = nil, 0
    content.emit(out, state, pane, pane.last, mark("early"))
  end
  return {
    apply = function(_, event, out, state)
      write_key(state, event)
      local pane = state.pane
      if not pane then
        pane = { acc = content.init(), n = 0 }
        state.pane = pane
        out:timer(LAST, "end")
      end
      local now = is_by_clock and out:now() or out.time
      stretch(pane, now)
      pane.acc, pane.n = content.add(pane.acc, event, now), pane.n + 1
      if every_count and pane.n == every_count then return emit_early(out, state, pane) end
      if not every_ms or pane.due then return end
      pane.due = next_multiple(is_by_clock and now or max(now, out.watermark), every_ms)
      if is_by_clock then out:processing_timer(pane.due - now, "every") else out:timer(pane.due, "every") end
    end,
    on_timer = function(_, _, out, state, name)
      local pane = state.pane
      if not pane then return end
      if name == "every" and out.watermark < LAST then return emit_early(out, state, pane) end
      if name == "end" then
        content.emit(out, state, pane, pane.last, mark("final"))
        state.pane = nil
        forget_key(state)
      end
    end,
  }
end

--- N events each, in the order in which they come.
function M.counted(window, content, key)
  local size, write_key = window.count, key_writer(key)
  local function fire(out, state)
    content.emit(out, state, state.pane, state.pane.last)
    state.pane = nil
    forget_key(state)
  end
  return {
    apply = function(_, event, out, state)
      write_key(state, event)
      local pane = state.pane
      if not pane then
        pane = { acc = content.init(), count = 0 }
        state.pane = pane
        out:timer(LAST, "end")
      end
      stretch(pane, out.time)
      pane.acc, pane.count = content.add(pane.acc, event, out.time), pane.count + 1
      if pane.count == size then fire(out, state) end
    end,
    on_timer = function(_, _, out, state)
      if state.pane then fire(out, state) end
    end,
  }
end

--- The last N events, after every Mth.
function M.sliding_count(window, content, key)
  local size, slide, write_key = window.count, window.slide_count, key_writer(key)
  content = replayed(content)
  return {
    apply = function(_, event, out, state)
      write_key(state, event)
      local items = state.items or {}
      state.items, state.n = items, (state.n or 0) + 1
      content.add(items, event, out.time)
      if #items > size then remove(items, 1) end
      if state.n < slide then return end
      state.n = 0
      local pane = { acc = items, count = #items }
      for _, item in ipairs(items) do stretch(pane, item.time) end
      content.emit(out, state, pane, pane.last)
    end,
  }
end

-- Without a window -------------------------------------------------------------------------------------------------

--- The updated row of the key, with every event.
function M.running(content, key)
  local write_key = key_writer(key)
  return {
    apply = function(_, event, out, state)
      write_key(state, event)
      state.acc = content.add(state.acc or content.init(), event, out.time)
      local row = content.results(state.acc)
      for name, value in pairs(state.key) do row[name] = value end
      out:emit(row)
    end,
  }
end

return M
