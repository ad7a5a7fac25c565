--- The operators behind tables and joins. Each is a table of functions like a user's, on keyed state and timers, so
-- that it is saved, restored and dealt out anew like any other.
--
--     left  --by its key--> [ state of the key ] --> row(l, r)       out.from tells the sides apart: "left", "right"
--     right --by its key--> [                  ]
--
-- What a side keeps of an event is a plain table; times are event times. A key that is nil meets nothing: spec.has_key
-- tells, by side.
local each = require("swlua.internal.each")
local values = require("swlua.values")
local pairs, max, min, huge = each.pairs, math.max, math.min, math.huge
local insert, remove = table.insert, table.remove

local M = {}

local LAST = 2 ^ 52 -- a timer for this time fires when the input has ended

local function plain(event)
  return type(event) == "cdata" and values.table(event) or event
end

--- Left's fields, then right's that left lacks.
local function merged(l, r)
  local row = {}
  if r then
    for name, value in pairs(r) do row[name] = value end
  end
  if l then
    for name, value in pairs(l) do row[name] = value end
  end
  return row
end

--- emit(out, l, r, time, age): what `row` makes of a pair; nothing where it returns nil.
local function emitter(spec)
  local make = spec.row or merged
  return function(out, l, r, time, age)
    local row = make(l, r, age)
    if row ~= nil then out:emit(row, time) end
  end
end

local function keeps(spec)
  return spec.type == "left" or spec.type == "full", spec.type == "right" or spec.type == "full"
end

--- Puts an item into a list in order of its time, behind those of the same time.
local function insert_by_time(list, item)
  local i = #list
  while i > 0 and list[i].time > item.time do i = i - 1 end
  insert(list, i + 1, item)
end

-- Tables -----------------------------------------------------------------------------------------------------------

--- Keeps the latest row of each key and emits each change: the row, or the row that went with deleted = true.
---@param spec { tombstone: (fun(event: table): any), ttl_ms: integer? }
function M.table(spec)
  local is_tombstone, ttl = spec.tombstone, spec.ttl_ms
  local function drop(state, out, time, is_expired)
    local gone = state.row
    state.row, state.time = nil, nil
    if not gone then return end
    gone = values.copy(gone)
    gone.deleted, gone.expired = true, is_expired
    out:emit(gone, time)
  end
  return {
    apply = function(_, event, out, state)
      if is_tombstone(event) then
        out:cancel("ttl")
        return drop(state, out, out.time)
      end
      state.row, state.time = plain(event), out.time
      if ttl then out:timer(out.time + ttl, "ttl") end
      out:emit(values.copy(state.row))
    end,
    on_timer = function(_, time, out, state) drop(state, out, time, true) end,
  }
end

-- Stream and Table -------------------------------------------------------------------------------------------------

--- A row per left event, against the table as it stands at that moment.
function M.stream_table(spec)
  local emit, has_left_key = emitter(spec), spec.has_key.left
  local keeps_left, keeps_right = keeps(spec)
  return {
    apply = function(_, event, out, state)
      if out.from == "right" then
        if event.deleted == true then
          if event.expired and keeps_right and state.row and not state.is_met then
            emit(out, nil, state.row, state.time)
          end
          state.row, state.time, state.is_met = nil, nil, nil
          if keeps_right then out:cancel("end") end
        else
          state.row, state.time, state.is_met = plain(event), out.time, nil
          if keeps_right then out:timer(LAST, "end") end
        end
        return
      end
      local row = has_left_key(event) and state.row or nil
      if row then
        if keeps_right then state.is_met = true end
        emit(out, event, row, max(out.time, state.time), out.time - state.time)
      elseif keeps_left then
        emit(out, event, nil, out.time)
      end
    end,
    on_timer = function(_, _, out, state)
      if state.row and not state.is_met then emit(out, nil, state.row, state.time) end
    end,
  }
end

--- The version of a list that stood at a time; nil before the first, and where it was deleted.
local function version_at(versions, time)
  for i = #versions, 1, -1 do
    if versions[i].time <= time then return versions[i].row, versions[i].time end
  end
end

--- Drops the versions that no left event at or behind `time` asks for.
local function prune_versions(versions, time)
  while versions[2] and versions[2].time <= time do remove(versions, 1) end
end

--- A row per left event, against the table as it stood at the event's time: the event waits until the watermark says
--- that nothing older comes.
function M.as_of(spec)
  local emit, has_left_key = emitter(spec), spec.has_key.left
  local keeps_left = keeps(spec)
  local lateness = spec.lateness_ms or 0
  return {
    apply = function(_, event, out, state)
      if out.from == "right" then
        state.versions = state.versions or {}
        insert_by_time(state.versions, { time = out.time, row = event.deleted ~= true and plain(event) or nil })
        return prune_versions(state.versions, tonumber(out.watermark) - lateness)
      end
      if out.time < out.watermark - lateness then return out:late(event) end
      state.waiting = state.waiting or {}
      insert_by_time(state.waiting, { time = out.time, event = plain(event) })
      out:timer(out.time + 1)
    end,
    on_timer = function(_, time, out, state)
      local waiting = state.waiting or {}
      while waiting[1] and waiting[1].time < time do
        local first = remove(waiting, 1)
        local row, since = nil, nil
        if has_left_key(first.event) then row, since = version_at(state.versions or {}, first.time) end
        if row or keeps_left then emit(out, first.event, row, first.time, row and first.time - since) end
      end
      if #waiting == 0 then state.waiting = nil end
      if state.versions then prune_versions(state.versions, time - 1 - lateness) end
    end,
  }
end

-- Stream and Stream ------------------------------------------------------------------------------------------------

--- Keeps the sides of one key in lists { time, event, is_met }.
local function side(state, name)
  local list = state[name]
  if not list then
    list = {}
    state[name] = list
  end
  return list
end

--- Takes what is older than `limit` out of a list in order of time; `unmet` is told of what met nothing.
local function expire(list, limit, unmet)
  while list[1] and list[1].time < limit do
    local item = remove(list, 1)
    if unmet and not item.is_met then unmet(item) end
  end
end

--- Pairs whose right time is within left's time + [lower, upper].
function M.within(spec)
  local emit = emitter(spec)
  local keeps_left, keeps_right = keeps(spec)
  local lower, upper, has_key = spec.lower_ms, spec.upper_ms, spec.has_key
  --- The first time at which something can go: a left event when no right one at time + upper can come any more.
  local function next_due(state)
    local due = huge
    if state.left and state.left[1] then due = min(due, state.left[1].time + upper + 1) end
    if state.right and state.right[1] then due = min(due, state.right[1].time - lower + 1) end
    return due
  end
  local function schedule(out, state)
    local due = next_due(state)
    if due < huge then out:timer(due, "expire") end
  end
  local function meet(out, state, item, is_left)
    for _, other in ipairs(side(state, is_left and "right" or "left")) do
      local l, r = is_left and item or other, is_left and other or item
      local apart = r.time - l.time
      if apart >= lower and apart <= upper then
        l.is_met, r.is_met = true, true
        emit(out, l.event, r.event, max(l.time, r.time))
      end
    end
  end
  return {
    apply = function(_, event, out, state)
      if out.time < out.watermark then return out:late(event) end
      local is_left = out.from == "left"
      local item = { time = out.time, event = plain(event) }
      if has_key[out.from](event) then meet(out, state, item, is_left) end
      insert_by_time(side(state, out.from), item)
      schedule(out, state)
    end,
    on_timer = function(_, time, out, state)
      local function unmet_left(item) emit(out, item.event, nil, item.time) end
      local function unmet_right(item) emit(out, nil, item.event, item.time) end
      if out.watermark >= LAST then time = huge end -- The input has ended.
      expire(side(state, "left"), time - upper, keeps_left and unmet_left)
      expire(side(state, "right"), time + lower, keeps_right and unmet_right)
      schedule(out, state)
      if #state.left == 0 then state.left = nil end
      if #state.right == 0 then state.right = nil end
    end,
  }
end

--- Starts of the windows of `window` (tumbling or sliding, by time) that hold `time`: the newest, and how many.
local function starts_of(window, time)
  local slide = window.slide_ms
  local newest = time - (time - window.offset_ms) % slide
  return newest, math.floor((window.length_ms - (time - newest) - 1) / slide)
end

--- Pairs inside the same window; what met nothing comes when the window closes.
function M.windowed(spec)
  local emit = emitter(spec)
  local keeps_left, keeps_right = keeps(spec)
  local window, lateness, has_key = spec.window, spec.window.lateness_ms or 0, spec.has_key
  local function meet(out, panes, start, item, is_left)
    local pane = panes[start] or { left = {}, right = {} }
    panes[start] = pane
    local mine, others = pane.left, pane.right
    if not is_left then mine, others = others, mine end
    local kept = { time = item.time, event = item.event }
    for _, other in ipairs(has_key[out.from](item.event) and others or {}) do
      kept.is_met, other.is_met = true, true
      local time = max(item.time, other.time)
      if is_left then emit(out, item.event, other.event, time) else emit(out, other.event, item.event, time) end
    end
    mine[#mine + 1] = kept
  end
  return {
    apply = function(_, event, out, state)
      local newest, before = starts_of(window, out.time)
      local item, is_taken = { time = out.time, event = plain(event) }, false
      state.panes = state.panes or {}
      for i = before, 0, -1 do
        local start = newest - i * window.slide_ms
        local closes = start + window.length_ms + lateness
        if closes > out.watermark then
          is_taken = true
          meet(out, state.panes, tostring(start), item, out.from == "left")
          out:timer(closes)
        end
      end
      if not is_taken then out:late(event) end
    end,
    on_timer = function(_, time, out, state)
      local start = tostring(time - lateness - window.length_ms)
      local pane, last = state.panes and state.panes[start], time - lateness - 1
      if not pane then return end
      state.panes[start] = nil
      if each.next(state.panes) == nil then state.panes = nil end
      for _, item in ipairs(keeps_left and pane.left or {}) do
        if not item.is_met then emit(out, item.event, nil, last) end
      end
      for _, item in ipairs(keeps_right and pane.right or {}) do
        if not item.is_met then emit(out, nil, item.event, last) end
      end
    end,
  }
end

--- Pairs of equal keys whenever they come: both sides are kept, `ttl` bounds them.
function M.unbounded(spec)
  local emit = emitter(spec)
  local keeps_left, keeps_right = keeps(spec)
  local ttl, has_key = spec.ttl_ms, spec.has_key
  local function flush(out, state, limit)
    local function unmet_left(item) emit(out, item.event, nil, item.time) end
    local function unmet_right(item) emit(out, nil, item.event, item.time) end
    expire(side(state, "left"), limit, keeps_left and unmet_left)
    expire(side(state, "right"), limit, keeps_right and unmet_right)
    if #state.left == 0 then state.left = nil end
    if #state.right == 0 then state.right = nil end
  end
  local function oldest(state)
    local l, r = state.left and state.left[1], state.right and state.right[1]
    return min(l and l.time or huge, r and r.time or huge)
  end
  return {
    apply = function(_, event, out, state)
      local is_left = out.from == "left"
      local item = { time = out.time, event = plain(event) }
      local can_meet = has_key[out.from](event)
      for _, other in ipairs(can_meet and state[is_left and "right" or "left"] or {}) do
        item.is_met, other.is_met = true, true
        local time = max(item.time, other.time)
        if is_left then emit(out, event, other.event, time) else emit(out, other.event, event, time) end
      end
      if not can_meet and not (is_left and keeps_left or not is_left and keeps_right) then return end
      insert_by_time(side(state, out.from), item)
      if ttl then out:timer(oldest(state) + ttl, "ttl") end
      if keeps_left or keeps_right then out:timer(LAST, "end") end
    end,
    on_timer = function(_, time, out, state, name)
      if name == "end" or out.watermark >= LAST then return flush(out, state, huge) end
      flush(out, state, time - ttl + 1)
      local first = oldest(state)
      if first < huge then out:timer(first + ttl, "ttl") end
    end,
  }
end

-- Table and Table --------------------------------------------------------------------------------------------------

--- The joined table: each change of either side makes a row of its key, or takes it away (deleted = true).
function M.table_table(spec)
  local make, has_key = spec.row or merged, spec.has_key
  local keeps_left, keeps_right = keeps(spec)
  local function row_of(state)
    local l, r = state.left, state.right
    if l and r or l and keeps_left or r and keeps_right then return make(l, r) end
    return nil
  end
  return {
    apply = function(_, event, out, state)
      if not has_key[out.from](event) then return end
      state[out.from] = event.deleted ~= true and plain(event) or nil
      local before, row = state.row, row_of(state)
      state.row = row
      if row then return out:emit(values.copy(row)) end
      if before then
        local gone = values.copy(before)
        gone.deleted = true
        out:emit(gone)
      end
    end,
  }
end

return M
