--- The operators behind windows and running aggregates, on keyed state and timers: so they are saved, restored and
-- dealt out anew as any operator is, and their rows come by the time of timers, then key.
--
--     event ──find──► accumulator of its pane, session or count ──add──►   timer ──► row
--
-- What an accumulator is, is the content's business (internal/contents.lua); here is which one an event goes to, when
-- it fires, and what is late. This module is loaded afresh for every component, as the stages are (core.chunk).
--
-- State of a key, by kind of window:
--   timed       [pane's start] = acc; a pane is gcd(length, slide) long, so an event is added once, and a window is the
--               sum of its panes; w = time of the next timer of windows that overlap
--   session     s = { { s = start, e = last + gap, a = acc, t = time of its timer, f = has fired? }, ... } by start
--   unbounded   a = acc, f, l = first and last time
--   counted     the same, n = events
--   sliding     p = { { a, f, l, n }, ... } panes of gcd(count, slide) events, k = events since it last fired
--   and for `every`: t = time of the next early rows, d = what has changed since the last, c or n = events counted
local f = require("swlua.internal.ffi")
local contents = require("swlua.internal.contents")
local decode = require("swlua.internal.decode")
local each = require("swlua.internal.each")
local values = require("swlua.values")
local C = f.C
local pairs, next, max, min, tonumber = each.pairs, each.next, math.max, math.min, tonumber

local M = {}

local LAST = 2 ^ 52 -- a timer of this time fires when the input has ended
local PROBED = 64 -- panes of a window that are looked for one by one

local function gcd(a, b)
  while b > 0 do a, b = b, a % b end
  return a
end

-- What all kinds need ------------------------------------------------------------------------------------------------

--- The key of the entry at work, as rows and functions see it: of several fields a list.
local function key_reader(keyed)
  return function()
    local key = decode.bytes(C.swffi_keyed_key(keyed), keyed.entry.key_len)
    if type(key) == "table" then
      for i = 1, #key do
        if key[i] == values.null then key[i] = nil end
      end
    elseif key == values.null then
      key = nil
    end
    return key
  end
end

--- Functions that set a timer of the current key: in event time, and by the clock.
local function timer_setters(task, x, keyed)
  local T, due = task.T, task.due
  local function set(which, time, name)
    if C.swffi_timer_set(keyed, which, time, name, name and #name or 0) ~= 0 then
      error("out of memory for a timer", 0)
    end
  end
  return function(time, name)
    set(0, time, name)
    if time < due[x.domain] then due[x.domain] = time end
  end, function(time, name)
    set(1, time, name)
    if time < T.timer_ms then T.timer_ms = time end
  end
end

--- The clock, which never goes back.
local function clock_of(T)
  local seen = -math.huge
  return function()
    local now = tonumber(T.now_ms)
    if now > seen then seen = now end
    return seen
  end
end

--- What the kinds of window work with. `time_of` and `now` go by the events or by the clock.
local function context(spec, task, x, keyed, out)
  local T, wm, moment, domain = task.T, task.T.wm, x.moment, x.domain
  local set_timer, set_clock_timer = timer_setters(task, x, keyed)
  local window = spec.window
  local w = { x = x, out = out, window = window, key_of = key_reader(keyed), end_timer = set_timer }
  if window.is_by_clock then
    w.time_of = clock_of(T)
    w.now, w.timer = w.time_of, set_clock_timer
  else
    w.time_of = function() return moment.time end
    w.now, w.timer = function() return tonumber(wm[domain]) end, set_timer
  end
  w.late = function(event) out:late(event) end
  w.is_ending = function() return x.firing ~= nil and x.firing >= LAST end
  w.cancel_end = function() C.swffi_timer_cancel(keyed, 0, 0, "end", 3) end
  --- When a row that comes at the end of the input counts as: not late.
  w.ending = function(time) return max(time, tonumber(wm[domain])) end
  w.is_marked = window.every_ms or window.every_count or window.lateness_ms
  w.content = contents.of(spec, spec.key.fields or { "key" }, window.merges)
  local is_void, emit = w.content.is_void, w.content.emitter and w.content.emitter(w)
  w.emit = function(acc, first, last, time, kind, replaces, count)
    if is_void and is_void(acc) then return end
    emit(acc, first, last, time, w.is_marked and kind or nil, replaces, count)
  end
  return w
end

--- One accumulator of several; of one, itself.
local function combined(content, accs)
  if #accs <= 1 then return accs[1] end
  local all = content.new()
  for i = 1, #accs do content.merge(all, accs[i]) end
  return all
end

--- Sets the timer of the next early rows, unless an earlier one is set.
local function armer(w)
  local every, set = w.window.every_ms, w.timer
  return function(state, from)
    local due = from - from % every + every
    if state.t ~= nil and state.t <= due then return end
    state.t = due
    set(due, "every")
  end
end

-- Windows of a fixed length ------------------------------------------------------------------------------------------

--- Which windows a pane is part of, by their ends.
local function geometry(window)
  local length, slide, offset = window.length_ms, window.slide_ms, window.offset_ms
  return {
    first_end = function(start) return start - (start - offset - length) % slide + slide end,
    last_end = function(start) return start - (start - offset) % slide + length end,
    is_end = function(time) return (time - offset - length) % slide == 0 end,
  }
end

--- Starts of the panes of a key in [from, to), in order.
local function starts_between(state, from, to)
  local starts = {}
  for start in pairs(state) do
    if type(start) == "number" and start >= from and start < to then starts[#starts + 1] = start end
  end
  table.sort(starts)
  return starts
end

--- Functions that look panes up: gather(state, window's end) -> acc or nil, has_other(state, end, start).
local function pane_finder(content, length, pane)
  local merge = content.merge
  --- What is so far, and one more: `all` is the sum, once there are two; `one` the first.
  local function sum(all, one, acc)
    if one == nil then return nil, acc end
    if all == nil then
      all = content.new()
      merge(all, one)
    end
    merge(all, acc)
    return all, one
  end
  local function gather_many(state, last)
    local all, one
    for _, start in ipairs(starts_between(state, last - length, last)) do all, one = sum(all, one, state[start]) end
    return all or one
  end
  local function gather_few(state, last)
    local all, one
    for start = last - length, last - pane, pane do
      local acc = state[start]
      if acc then all, one = sum(all, one, acc) end
    end
    return all or one
  end
  local function gather_one(state, last) return state[last - length] end
  local function has_other(state, last, start)
    for _, other in ipairs(starts_between(state, last - length, last)) do
      if other ~= start then return true end
    end
    return false
  end
  if pane == length then return gather_one, has_other end
  return length / pane <= PROBED and gather_few or gather_many, has_other
end

--- Forgets panes that are in no window still to come, and what belonged to a key without panes.
local function purger(window, pane, is_end)
  local length, slide, lateness = window.length_ms, window.slide_ms, window.lateness_ms or 0
  local function tidy(state)
    if state.c and next(state.c) == nil then state.c = nil end
    for name in pairs(state) do
      if type(name) == "number" then return end
    end
    state.w, state.t, state.c, state.d = nil, nil, nil, nil
  end
  local has_more = pane < length or window.every_ms or window.every_count
  return function(state, time)
    local last = time - lateness
    if is_end(last) then
      for start = last - length, last - length + slide - pane, pane do
        state[start] = nil
        if state.d then state.d[start] = nil end
      end
    end
    if not has_more then return end
    if state.c then state.c[time] = nil end
    tidy(state)
  end
end

--- Timers of windows that do not overlap: one each. opened(state, start, at) a pane; fired(state, time) a timer.
local function plain_schedule(w)
  local set, length, lateness = w.timer, w.window.length_ms, w.window.lateness_ms or 0
  return function(_, start, at)
    local last = start + length
    if last > at then set(last) end
    if lateness > 0 then set(last + lateness) end
  end, function() end
end

--- Timers of windows that overlap: one a key, of the next window's end, or of panes to be forgotten, since each pane is
--- part of many. An earlier one makes the later ones, in time.
local function chained_schedule(w, shape, pane)
  local set, length, slide, lateness = w.timer, w.window.length_ms, w.window.slide_ms, w.window.lateness_ms or 0
  local function wake(state, time)
    if state.w ~= nil and state.w <= time then return end
    state.w = time
    set(time)
  end
  local function opened(state, start, at)
    local last = shape.first_end(start)
    if last <= at then last = last + (math.floor((at - last) / slide) + 1) * slide end
    if last <= shape.last_end(start) then wake(state, last) end
    if lateness > 0 then wake(state, shape.last_end(start) + lateness) end
  end
  local function first_pane(state)
    local first = math.huge
    for start in pairs(state) do
      if type(start) == "number" and start < first then first = start end
    end
    return first
  end
  --- Has the window with this end an early pane? Most often it has, where the one before had.
  local function begins(state, last)
    for start = last - length, min(last, last - length + PROBED * pane) - pane, pane do
      if state[start] then return true end
    end
    return false
  end
  local function fired(state, time)
    if state.w == nil or state.w > time then return end
    state.w = nil
    local last = shape.first_end(time)
    if lateness == 0 and begins(state, last) then return wake(state, last) end
    local first = first_pane(state) -- There is one: without panes there is no state.w.
    wake(state, max(last, shape.first_end(first)))
    if lateness > 0 then wake(state, shape.last_end(first) + lateness) end
  end
  return opened, fired
end

--- Early rows: note(state, start, time) behind each event, tick(state, time) by the timer "every".
local function early_rows(w, shape, emit_window)
  local window, now, arm = w.window, w.now, armer(w)
  local slide, count = window.slide_ms, window.every_count
  local function note_count(state, start)
    local counts, at = state.c or {}, now()
    state.c = counts
    for last = shape.first_end(start), shape.last_end(start), slide do
      if last > at then
        counts[last] = (counts[last] or 0) + 1
        if counts[last] % count == 0 then emit_window(state, last, "early") end
      end
    end
  end
  local function note_change(state, start, time)
    local from = max(time, now())
    if from - from % window.every_ms + window.every_ms >= shape.last_end(start) then return end
    state.d = state.d or {}
    state.d[start] = true
    arm(state, from)
  end
  --- Ends of the windows with something new that are open at `time`; panes that begin later wait.
  local function changed_windows(state, time)
    local ends, is_seen, waiting = {}, {}, nil
    for start in pairs(state.d or {}) do
      if start > time then
        waiting = waiting or {}
        waiting[start] = true
      else
        for last = shape.first_end(start), shape.last_end(start), slide do
          if last > time and not is_seen[last] then is_seen[last], ends[#ends + 1] = true, last end
        end
      end
    end
    table.sort(ends)
    return ends, waiting
  end
  local function tick(state, time)
    local ends, waiting = changed_windows(state, time)
    state.t, state.d = nil, waiting
    if waiting then
      local soonest = math.huge
      for start in pairs(waiting) do soonest = min(soonest, start) end
      arm(state, soonest)
    end
    for _, last in ipairs(ends) do emit_window(state, last, "early") end
  end
  return count and note_count or note_change, tick
end

--- Tumbling and sliding windows.
function M.timed(w)
  local window, content, now, emit = w.window, w.content, w.now, w.emit
  local length, offset, lateness = window.length_ms, window.offset_ms, window.lateness_ms or 0
  local pane, shape = gcd(length, window.slide_ms), geometry(window)
  local gather, has_other = pane_finder(content, length, pane)
  local purge = purger(window, pane, shape.is_end)
  local schedule = pane == length and plain_schedule or chained_schedule
  local opened, fired = schedule(w, shape, pane)
  local is_new = false -- the pane of the event at work

  --- Makes the pane of an event, unless it is too late for all of its windows.
  local function open(state, start, event)
    local at = now()
    if shape.last_end(start) + lateness <= at then
      w.late(event)
      return nil
    end
    local acc = content.new()
    state[start], is_new = acc, true
    opened(state, start, at)
    return acc
  end
  local function find(state, time, event)
    local start = time - (time - offset) % pane
    local acc = state[start]
    if acc == nil then acc = open(state, start, event) end
    return acc, start
  end
  local function emit_window(state, last, kind)
    local acc = gather(state, last)
    if acc then emit(acc, last - length, last, last - 1, kind) end
  end
  --- The rows of windows that had ended before their event came. One that had been empty has its first row.
  local function correct(state, start, at, was_new)
    for last = shape.first_end(start), min(at, shape.last_end(start)), window.slide_ms do
      if last + lateness > at then
        local had_row = not was_new or has_other(state, last, start)
        emit_window(state, last, had_row and "corrected" or "final")
      end
    end
  end
  local note, tick = early_rows(w, shape, emit_window)
  local has_every = window.every_ms or window.every_count
  local function after(state, _, start, time)
    local at, was_new = now(), is_new
    is_new = false
    if lateness > 0 and at > start then correct(state, start, at, was_new) end
    if has_every then note(state, start, time) end
  end

  return content.operator(find, (lateness > 0 or has_every) and after or nil, w.time_of),
    function(time, _, state, name)
      if name == "every" then return tick(state, time) end
      local acc = shape.is_end(time) and gather(state, time)
      purge(state, time) -- first: a function that fails on the row must not keep the panes
      fired(state, time)
      if acc then emit(acc, time - length, time, time - 1, "final") end
    end
end

-- Sessions -----------------------------------------------------------------------------------------------------------

--- What a session has sent with other bounds than it has now. From now on it has sent these.
local function replaced(session)
  local sent, list = session.r, nil
  for _, row in ipairs(sent or {}) do
    if row.window_start ~= session.s or row.window_end ~= session.e then
      list = list or {}
      list[#list + 1] = row
    end
  end
  session.r = { { window_start = session.s, window_end = session.e } }
  return list and values.copy(list)
end

--- Early rows of sessions.
local function early_sessions(w, emit_session)
  local window, now, arm = w.window, w.now, armer(w)
  local count = window.every_count
  local function note(state, session, time)
    if count then
      session.n = (session.n or 0) + 1
      if session.n % count == 0 then emit_session(session, "early") end
      return
    end
    local from = max(time, now())
    session.d = true
    if from - from % window.every_ms + window.every_ms <= session.e then arm(state, from) end
  end
  local function tick(state, time)
    local due, soonest = {}, nil
    for _, session in ipairs(state.s or {}) do
      if session.d and not session.f and session.e >= time then
        if session.s <= time then due[#due + 1] = session else soonest = soonest or session.s end
      end
    end
    state.t = nil
    if soonest then arm(state, soonest) end
    for _, session in ipairs(due) do
      session.d = nil
      emit_session(session, "early")
    end
  end
  return note, tick
end

--- A session absorbs another that an event has joined to it.
local function absorb(content, session, other)
  content.merge(session.a, other.a)
  session.s, session.e = min(session.s, other.s), max(session.e, other.e)
  session.t = min(session.t, other.t)
  session.was_fired = session.was_fired or other.was_fired or other.f
  session.d = session.d or other.d
  if other.n then session.n = (session.n or 0) + other.n end
  for _, row in ipairs(other.r or {}) do
    session.r = session.r or {}
    session.r[#session.r + 1] = row
  end
end

local function insert_by_start(list, session)
  local at = #list + 1
  while at > 1 and list[at - 1].s > session.s do
    list[at] = list[at - 1]
    at = at - 1
  end
  list[at] = session
end

--- table.remove, which the JIT does not compile.
local function remove(list, at)
  local n = #list
  for i = at, n - 1 do list[i] = list[i + 1] end
  list[n] = nil
end

--- The open sessions that an event touches, as one; and does it touch one that is closed?
local function toucher(content, gap, lateness)
  return function(list, time, at)
    local session, is_closed, i = nil, false, 1
    while list[i] do
      local other, is_absorbed = list[i], false
      if other.e >= time and other.s <= time + gap then
        if other.f and other.e + lateness < at then
          is_closed = true
        elseif session then
          absorb(content, session, other)
          is_absorbed = true
        else
          session = other
        end
      end
      if is_absorbed then remove(list, i) else i = i + 1 end
    end
    return session, is_closed
  end
end

--- find(state, time, event) -> the acc of the event's session, and the session; nothing where it is too late.
local function session_finder(w, gap, lateness)
  local content, now, set = w.content, w.now, w.timer
  local touched = toucher(content, gap, lateness)
  local function open(state, time, event, at, is_refused)
    if is_refused or time + gap + lateness < at then
      w.late(event)
      return nil
    end
    local session = { s = time, e = time + gap, a = content.new(), t = time + gap + 1 }
    state.s = state.s or {}
    insert_by_start(state.s, session)
    if session.t > at then set(session.t) end
    return session.a, session
  end
  local function join(state, time, event)
    local at = now()
    local session, is_closed = touched(state.s or {}, time, at)
    if not session then
      local acc, opened = open(state, time, event, at, is_closed)
      return acc, opened
    end
    session.s, session.e = min(session.s, time), max(session.e, time + gap)
    session.was_fired, session.f = session.was_fired or session.f, nil
    if session.t > session.e + 1 then
      session.t = session.e + 1
      if session.t > at then set(session.t) end
    end
    return session.a, session
  end
  return function(state, time, event)
    local list = state.s
    local newest = list and list[#list]
    if newest and not newest.f and time >= newest.s and time <= newest.e then -- It touches no other.
      if time + gap > newest.e then newest.e = time + gap end
      return newest.a, newest
    end
    local acc, session = join(state, time, event)
    return acc, session
  end
end

--- What becomes of sessions whose timer has come: those that fire now, and those that are over go.
local function session_ender(w, remembered)
  local set = w.timer
  local function due(session, time)
    local fires = not session.f and session.e < time
    session.f = session.f or fires or nil
    local is_over = session.f and (session.e + remembered < time or w.is_ending())
    if is_over then return fires, true end
    session.t = session.f and session.e + remembered + 1 or session.e + 1
    set(session.t)
    return fires, false
  end
  return function(state, time)
    local list, fired, i = state.s or {}, {}, 1
    while list[i] do
      local session, fires, is_over = list[i], false, false
      if session.t <= time then fires, is_over = due(session, time) end
      if fires then fired[#fired + 1] = session end
      if is_over then remove(list, i) else i = i + 1 end
    end
    if #list == 0 then state.s, state.t = nil, nil end
    return fired
  end
end

--- Windows that end when for a gap nothing came. One fires once the watermark is behind its end, for an event at its
--- end still belongs to it. Its timer is moved when it fires, not with each event. A session that has fired is
--- remembered for a gap more: a late event that would have belonged to it is late, and makes no second one.
function M.session(w)
  local window, now, emit = w.window, w.now, w.emit
  local gap, lateness = window.gap_ms, window.lateness_ms or 0
  local remembered = window.is_by_clock and 0 or lateness + gap
  local find, ended = session_finder(w, gap, lateness), session_ender(w, remembered)

  local function emit_session(session, kind)
    local replaces = w.is_marked and replaced(session) or nil
    emit(session.a, session.s, session.e, session.e - 1, kind, replaces)
  end
  local note, tick = early_sessions(w, emit_session)
  local has_every = window.every_ms or window.every_count
  local function after(state, _, session, time)
    if session.e < now() then
      session.f, session.t = true, session.e + remembered + 1
      w.timer(session.t)
      emit_session(session, session.was_fired and "corrected" or "final")
    elseif has_every and not session.was_fired then
      note(state, session, time)
    end
  end
  local function on_timer(time, _, state, name)
    if name == "every" then return tick(state, time) end
    for _, session in ipairs(ended(state, time)) do
      emit_session(session, session.was_fired and "corrected" or "final")
      if lateness == 0 then session.a, session.r = nil, nil end
    end
  end
  return w.content.operator(find, (lateness > 0 or has_every) and after or nil, w.time_of), on_timer
end

-- Without bounds, and by count ---------------------------------------------------------------------------------------

--- One window; fires by `every`, and when the input ends.
function M.unbounded(w)
  local window, content, emit = w.window, w.content, w.emit
  local every_count, arm = window.every_count, armer(w)

  local function find(state, time)
    local acc = state.a
    if acc == nil then
      acc = content.new()
      state.a, state.f, state.l = acc, time, time
      w.end_timer(LAST, "end")
    elseif time > state.l then
      state.l = time
    elseif time < state.f then
      state.f = time
    end
    return acc
  end
  local function after(state, acc, _, time)
    if not every_count then
      state.d = true
      return arm(state, max(time, w.now()))
    end
    state.n = (state.n or 0) + 1
    if state.n == every_count then
      state.n = 0
      emit(acc, state.f, state.l, state.l, "early")
    end
  end
  local function on_timer(time, _, state, name)
    local acc, first, last, has_news = state.a, state.f, state.l, state.d
    if not acc then return end
    if name == "every" then
      state.t, state.d = nil, nil
      if has_news and not w.is_ending() then emit(acc, first, last, max(last, time), "early") end
      return
    end
    for field in pairs(state) do state[field] = nil end
    emit(acc, first, last, w.ending(last), "final")
  end
  return content.operator(find, (window.every_ms or every_count) and after or nil, w.time_of), on_timer
end

--- N events each, in the order in which they come.
function M.counted(w)
  local content, emit, size = w.content, w.emit, w.window.count

  local function find(state, time)
    local acc = state.a
    if acc == nil then
      acc = content.new()
      state.a, state.f, state.l, state.n = acc, time, time, 0
      w.end_timer(LAST, "end")
    end
    return acc
  end
  local function fire(state, time_of)
    local acc, first, last, n = state.a, state.f, state.l, state.n
    state.a, state.f, state.l, state.n = nil, nil, nil, nil
    emit(acc, first, last, time_of(last), nil, nil, n)
  end
  local function same(time) return time end
  local function after(state, _, _, time)
    state.f, state.l, state.n = min(state.f, time), max(state.l, time), state.n + 1
    if state.n < size then return end
    w.cancel_end()
    fire(state, same)
  end
  return content.operator(find, after, w.time_of), function(_, _, state)
    if state.a then fire(state, w.ending) end
  end
end

--- The last N events, after every Mth: the sum of the panes that hold them.
function M.sliding_count(w)
  local content, emit, slide = w.content, w.emit, w.window.slide_count
  local pane = gcd(w.window.count, slide)
  local most, kept = w.window.count / pane, (w.window.count - slide) / pane

  local function find(state, time)
    local list = state.p
    if list == nil then
      list = {}
      state.p, state.k = list, 0
    end
    local newest = list[#list]
    if newest == nil or newest.n == pane then
      newest = { a = content.new(), f = time, l = time, n = 0 }
      list[#list + 1] = newest
    end
    return newest.a, newest
  end
  local function fire(state)
    local list, accs, first, last, n = state.p, {}, math.huge, -math.huge, 0
    for i = max(1, #list - most + 1), #list do
      accs[#accs + 1] = list[i].a
      first, last, n = min(first, list[i].f), max(last, list[i].l), n + list[i].n
    end
    local rest = {}
    for i = max(1, #list - kept + 1), #list do rest[#rest + 1] = list[i] end
    if kept > 0 then state.p, state.k = rest, 0 else state.p, state.k = nil, nil end
    emit(combined(content, accs), first, last, last, nil, nil, n)
  end
  local function after(state, _, newest, time)
    newest.f, newest.l, newest.n = min(newest.f, time), max(newest.l, time), newest.n + 1
    state.k = state.k + 1
    if state.k == slide then fire(state) end
  end
  return content.operator(find, after, w.time_of), nil
end

-- Without a window ---------------------------------------------------------------------------------------------------

--- The updated row of the key, with every event. The state is the accumulator.
function M.running(w, spec)
  local content, out, key_of = w.content, w.out, w.key_of
  local row_of, has_key = content.running_row, spec.key.fn ~= nil

  local function find(state)
    if state[1] == nil then
      for i, slot in ipairs(content.new()) do state[i] = slot end
      if has_key then state.key = key_of() end
    end
    return state
  end
  local function after(state, _, _, _, event)
    local row = row_of(event, state.key, state)
    out:emit(row)
  end
  return content.operator(find, after, w.time_of), nil
end

-- Which one ----------------------------------------------------------------------------------------------------------

--- The implementation that a windowed component gets: a function of its context that gives what is done with an event,
--- apply(event, out, state), and with a timer, on_timer(time, out, state, name).
---@param spec table what window.lua made of the component's call
local function implementation(spec)
  return M[spec.window.kind]
end

--- Makes the operator of a component.
---@return fun(event: table, out: table, state: table) apply
---@return fun(time: integer, out: table, state: table, name: string?)? on_timer
function M.compose(spec, task, x, keyed, out)
  return implementation(spec)(context(spec, task, x, keyed, out), spec)
end

return M
