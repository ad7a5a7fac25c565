--- The stages of a task: one closure per component and edge, composed when the task is set up, called once per event.
--
--     input loop ──► stage ──► stage ──► port | sink          a stage is f(event, time)
--
-- This module is loaded afresh for every stage (core.chunk), so each has prototypes, and so JIT traces, of its own: a
-- prototype shared by several components would make their traces guard against each other.
-- Rules here: no tail calls (the recorder of the JIT bounds them); no table or closure per event; user code runs
-- under xpcall; a component's error never reaches the one before it.
--
-- The context `x` of a component (made by internal/runtime.lua):
--   task, instance           cdata
--   is_fed                   what comes is counted where it was emitted
--   moment                   cdata: the time of the event at work
--   at                       component index + 1: the watchdog names whose code runs; cleared when the task yields
--   fail(err, event, time)   counts, skips, sets aside, or fails the job
--   trace                    message handler for xpcall
local f = require("swlua.internal.ffi")
local ffi, C = f.ffi, f.C
local cast, type, xpcall, pcall, tonumber = ffi.cast, type, xpcall, pcall, tonumber
local row_p, bytes_p = f.row_p, f.bytes_p
local FULL, WAIT_ROOM, ALTERED = f.FULL, f.WAIT_ROOM, f.ALTERED
local yield = coroutine.yield
local band, bxor, rshift, tobit = bit.band, bit.bxor, bit.rshift, bit.tobit
local GATHER = 128 -- rows looked up together
local COLLECT = 64 -- table events encoded together

local M = {}

--- An event given to two consumers: the first gets a copy.
function M.fan_out(first, second, copy)
  return function(event, time)
    first(copy(event), time)
    second(event, time)
  end
end

--- The same where the first consumer only encodes the event.
function M.tee(first, second)
  return function(event, time)
    first(event, time)
    second(event, time)
  end
end

--- Where nobody reads.
function M.unread(x)
  local instance = x.instance
  return function() instance.unread = instance.unread + 1 end
end

--- map. `encode` turns what the function returned into the event to pass on (checks it, or writes a record).
function M.map(x, fn, encode, pass)
  local task, instance, at, fail, trace = x.task, x.instance, x.at, x.fail, x.trace
  local is_fed = x.is_fed
  local function call(event)
    local result = encode(fn(event))
    return result
  end
  return function(event, time)
    if not is_fed then instance.n_in = instance.n_in + 1 end
    task.at = at
    local ok, result = xpcall(call, trace, event)
    if not ok then return fail(result, event, time) end
    instance.n_out = instance.n_out + 1
    pass(result, time)
  end
end

--- map of records to records where the function only hands some string fields on: it sees `view`, and `write` takes
-- those fields' bytes from the event. `plain` is the ordinary stage, for events of another shape.
function M.map_passing(x, fn, pointer, view, write, plain, pass)
  local task, instance, at, fail, trace = x.task, x.instance, x.at, x.fail, x.trace
  local is_fed = x.is_fed
  local istype = ffi.istype
  local function call(event)
    local result = write(fn(view(event)), event)
    return result
  end
  return function(event, time)
    if not istype(pointer, event) or event.sw__h.flags == ALTERED then return plain(event, time) end
    if not is_fed then instance.n_in = instance.n_in + 1 end
    task.at = at
    local ok, result = xpcall(call, trace, event)
    if not ok then return fail(result, event, time) end
    instance.n_out = instance.n_out + 1
    pass(result, time)
  end
end

--- filter of records where the function only compares some string fields with constants.
function M.filter_comparing(x, fn, pointer, view, plain, pass)
  local task, instance, at, fail, trace = x.task, x.instance, x.at, x.fail, x.trace
  local is_fed = x.is_fed
  local istype = ffi.istype
  local function call(event)
    local result = fn(view(event))
    return result
  end
  return function(event, time)
    if not istype(pointer, event) or event.sw__h.flags == ALTERED then return plain(event, time) end
    if not is_fed then instance.n_in = instance.n_in + 1 end
    task.at = at
    local ok, keep = xpcall(call, trace, event)
    if not ok then return fail(keep, event, time) end
    if keep then
      instance.n_out = instance.n_out + 1
      pass(event, time)
    end
  end
end

function M.filter(x, fn, pass)
  local task, instance, at, fail, trace = x.task, x.instance, x.at, x.fail, x.trace
  local is_fed = x.is_fed
  return function(event, time)
    if not is_fed then instance.n_in = instance.n_in + 1 end
    task.at = at
    local ok, keep = xpcall(fn, trace, event)
    if not ok then return fail(keep, event, time) end
    if keep then
      instance.n_out = instance.n_out + 1
      pass(event, time)
    end
  end
end

--- What user code emits with: without a time of its own an event gets that of the event at work.
function M.emitter(x, state, encode, pass)
  local task, instance, at, copy, moment = x.task, x.instance, x.at, x.copy, x.moment
  return function(event, time)
    if event == state.value then event = copy(event) end -- The state table goes on changing.
    local encoded = encode(event)
    instance.n_out = instance.n_out + 1
    pass(encoded, time or moment.time)
    task.at = at
  end
end

function M.flat_map(x, fn, emit)
  local task, instance, at, fail, trace = x.task, x.instance, x.at, x.fail, x.trace
  local is_fed, moment = x.is_fed, x.moment
  return function(event, time)
    if not is_fed then instance.n_in = instance.n_in + 1 end
    task.at = at
    moment.time = time
    local ok, err = xpcall(fn, trace, event, emit)
    if not ok then return fail(err, event, time) end
  end
end

--- apply of an operator without keyed state.
function M.apply(x, fn, self, out)
  local task, instance, at, fail, trace = x.task, x.instance, x.at, x.fail, x.trace
  local is_fed, moment = x.is_fed, x.moment
  local call = self and function(event) fn(self, event, out) end or function(event) fn(event, out) end
  return function(event, time)
    if not is_fed then instance.n_in = instance.n_in + 1 end
    task.at = at
    moment.time = time
    local ok, err = xpcall(call, trace, event)
    if not ok then return fail(err, event, time) end
  end
end

--- apply of an operator with a state record. Called with the entry of the event's key.
function M.apply_record_state(x, fn, self, out, keyed, layout, after)
  local task, instance, at, fail, trace = x.task, x.instance, x.at, x.fail, x.trace
  local is_fed, moment = x.is_fed, x.moment
  local current, pointer, entry_size = x.current, layout.pointer, f.ENTRY_SIZE
  local call = self and function(event, record) fn(self, event, out, record) end
    or function(event, record) fn(event, out, record) end
  local is_small, has_strings, has_ttl = layout.words == 2, layout.has_strings, x.has_ttl
  return function(event, time, entry)
    if not is_fed then instance.n_in = instance.n_in + 1 end
    task.at = at
    moment.time = time
    if has_strings then current.keyed = keyed end
    local record = cast(pointer, cast(bytes_p, entry) + entry_size)
    local ok, err = xpcall(call, trace, event, record)
    if has_ttl then entry.changed_ms = x.ttl_now(time) end
    if not ok then fail(err, event, time) end
    if not is_small or (record.sw__p[0] == 0 and record.sw__p[1] == 0) then after(entry, record) end
  end
end

--- apply of an operator with a state table.
function M.apply_table_state(x, fn, self, state, out, tables)
  local task, instance, at, fail, trace = x.task, x.instance, x.at, x.fail, x.trace
  local is_fed, moment = x.is_fed, x.moment
  local call = self and function(event, t) fn(self, event, out, t) end
    or function(event, t) fn(event, out, t) end
  local take, give_back, has_ttl, order = tables.take, tables.give_back, x.has_ttl, x.order
  return function(event, time, entry)
    if not is_fed then instance.n_in = instance.n_in + 1 end
    task.at = at
    moment.time = time
    local t = take(entry)
    state.value = t
    local was_ordered = order.on
    order.on = true
    local ok, err = xpcall(call, trace, event, t)
    order.on = was_ordered
    if has_ttl then entry.changed_ms = x.ttl_now(time) end
    if not ok then fail(err, event, time) end
    give_back(entry, t)
  end
end

--- A fused keyed edge by fields: finds the entry of the event's key, then goes on. A record's key is read in C.
function M.keyed_by_fields(x, keyed, to_row, pass)
  local task, fail_text = x.task, x.fail_text
  return function(event, time)
    local entry = C.swffi_keyed_fields(task, keyed, to_row(event, time))
    if entry == nil then return fail_text(event, time) end
    pass(event, time, entry)
  end
end

--- A fused keyed edge by one field that is a whole number more often than not: the entries found last are looked up
-- here (sw_keyed_place of state/keyed.h is the same sum). `other` is the stage for every other key.
function M.keyed_by_number(keyed, field, recent, other, pass)
  local slots = recent.slots
  return function(event, time)
    local key = event[field]
    if type(key) ~= "number" then
      other(event, time)
      return
    end
    local low = tobit(key)
    local place = band(bxor(low, rshift(low, 12)), 4095)
    local entry
    if slots[place].number == key then
      entry = slots[place].entry
      keyed.entry = entry
    else
      entry = C.swffi_keyed_number(keyed, key)
      if entry == nil then
        other(event, time)
        return
      end
    end
    pass(event, time, entry)
  end
end

--- A fused keyed edge by fields of records. While there are few keys events go straight on (`direct`); with many, a
-- lookup is a wait for memory, so rows are gathered and looked up together (`drain`). The operator behind it has a
-- watermark domain of its own, which keeps each row's place.
function M.keyed_gathered(x, keyed, to_row, drain, advance, direct)
  local task, fail_text = x.task, x.fail_text
  local wm, upstream, own = task.wm, x.upstream_domain, x.domain
  local gathered = keyed.gathered
  return function(event, time)
    if x.is_large then
      local rc = C.swffi_keyed_gather(task, keyed, to_row(event, time), wm[upstream])
      if rc ~= 0 then return fail_text(event, time) end
      if gathered.count >= GATHER then drain() end
    else
      if wm[upstream] > wm[own] then advance(own, wm[upstream]) end
      direct(event, time)
    end
  end
end

--- Processes what was gathered.
function M.gathered_loop(x, keyed, view, advance, pass)
  local task, own = x.task, x.domain
  local wm = task.wm
  return function()
    local batch = keyed.gathered
    C.swffi_keyed_prefetch(keyed, batch)
    local p = cast(bytes_p, batch.data)
    for _ = 1, batch.count do
      local row = cast(row_p, p)
      local len = row.len
      if row.wm > wm[own] then advance(own, row.wm) end
      task.stamp = row.stamp
      pass(view(row), tonumber(row.time), C.swffi_keyed_row(keyed, row))
      p = p + len
    end
    C.swffi_keyed_clear_gathered(keyed)
  end
end

--- The same in Lua, without encoding the event: `put_key_of` writes its key into the scratch.
function M.keyed_by_values(x, keyed, put_key_of, scratch, pass)
  local fail = x.fail
  return function(event, time)
    local n, problem = put_key_of(event, scratch)
    if n == nil then return fail(problem, event, time) end
    pass(event, time, C.swffi_keyed_bytes(keyed, scratch.data, n))
  end
end

--- The same by a function.
function M.keyed_by_function(x, keyed, fn, scratch, put_key, pass)
  local task, at, fail, trace = x.task, x.at, x.fail, x.trace
  return function(event, time)
    task.at = at
    local ok, key = xpcall(fn, trace, event)
    if not ok then return fail(key, event, time) end
    local n = put_key(scratch, 0, key)
    if n == nil then return fail(("the key function returned a %s, which is no key"):format(type(key)), event, time) end
    local entry = C.swffi_keyed_bytes(keyed, scratch.data, n)
    pass(event, time, entry)
  end
end

--- Comes by a channel: the row carries its key.
function M.keyed_by_row(keyed, pass)
  return function(row, event, time)
    pass(event, time, C.swffi_keyed_row(keyed, row))
  end
end

--- Sends a row that did not fit once there is room. Where the coroutine cannot yield (inside a callback of gsub or
-- sort) the channel takes it over its bound, up to a limit.
function M.wait_for_room(task, port, row, put, extra, key, key_len, index)
  local at = task.at
  while true do
    local ok = pcall(yield, WAIT_ROOM)
    task.at = at
    if not ok then
      if C.swffi_port_put_over(task, port, row, key, key_len, index) ~= 0 then
        error("too many events emitted from inside a callback that cannot wait for a full channel", 0)
      end
      return 0
    end
    local rc = put(row, extra)
    if rc ~= FULL then return rc end
  end
end

--- Leaves the task: forward, shuffle, broadcast, global, key by fields.
function M.port(x, port, to_row, slow)
  local task, fail = x.task, x.fail
  return function(event, time)
    local ok, row = pcall(to_row, event, time)
    if not ok then return fail(row, event, time) end
    local rc = C.swffi_port_put(task, port, row)
    if rc ~= 0 then return slow(rc, row, event, time) end
  end
end

--- The same for events of a component with a schema. A checked table (which user code may have changed since: `fits`)
-- is written where its row lies, by `send`.
function M.port_of_tables(x, port, to_row, slow, fits, send)
  local task, fail = x.task, x.fail
  return function(event, time)
    if type(event) == "table" then
      local ok, is_fit = pcall(fits, event)
      if ok and is_fit and send(event, time, task, port, 0) then return end
    end
    local ok, row = pcall(to_row, event, time)
    if not ok then return fail(row, event, time) end
    local rc = C.swffi_port_put(task, port, row)
    if rc ~= 0 then return slow(rc, row, event, time) end
  end
end

--- Leaves the task with a key made by a function of the user.
function M.port_by_function(x, port, fn, scratch, put_key, to_row, slow)
  local task, at, fail, trace = x.task, x.at, x.fail, x.trace
  return function(event, time)
    task.at = at
    local ok, key = xpcall(fn, trace, event)
    if not ok then return fail(key, event, time) end
    local n = put_key(scratch, 0, key)
    if n == nil then return fail(("the key function returned a %s, which is no key"):format(type(key)), event, time) end
    local encoded, row = pcall(to_row, event, time)
    if not encoded then return fail(row, event, time) end
    local rc = C.swffi_port_put_key(task, port, row, scratch.data, n)
    if rc ~= 0 then return slow(rc, row, event, time, n) end
  end
end

--- Leaves the task to the instance that a function of the user chooses; with `fits` and `send` as above.
function M.port_by_partition(x, port, fn, count, to_row, slow, fits, send)
  local task, at, fail, trace = x.task, x.at, x.fail, x.trace
  return function(event, time)
    task.at = at
    local ok, index = xpcall(fn, trace, event, count)
    if not ok then return fail(index, event, time) end
    if type(index) ~= "number" or index < 0 or index >= count or index % 1 ~= 0 then
      return fail(("the partition function returned %s, not an instance from 0 to %d"):format(tostring(index),
        count - 1), event, time)
    end
    if send and type(event) == "table" then
      local is_checked, is_fit = pcall(fits, event)
      if is_checked and is_fit and send(event, time, task, port, index) then return end
    end
    local encoded, row = pcall(to_row, event, time)
    if not encoded then return fail(row, event, time) end
    local rc = C.swffi_port_put_to(task, port, row, index)
    if rc ~= 0 then return slow(rc, row, event, time, index) end
  end
end

--- A sink in C at the head of its task: takes rows as they are. An error of an event finds it decoded only then.
function M.row_sink(x, sink, slow)
  local task, instance, is_fed = x.task, x.instance, x.is_fed
  return function(row, event, time)
    if not is_fed then instance.n_in = instance.n_in + 1 end
    local rc = C.swffi_sink_write(task, sink, row)
    if rc ~= 0 then slow(rc, event or x.event_of(row), time) end
  end
end

--- Counts what reaches a sink.
function M.counted(x, pass)
  local instance, is_fed = x.instance, x.is_fed
  return function(event, time)
    if not is_fed then instance.n_in = instance.n_in + 1 end
    pass(event, time)
  end
end

--- A sink in C.
function M.sink(x, sink, to_row, slow)
  local task, fail = x.task, x.fail
  return function(event, time)
    local ok, row = pcall(to_row, event, time)
    if not ok then return fail(row, event, time) end
    local rc = C.swffi_sink_write(task, sink, row)
    if rc ~= 0 then return slow(rc, event, time) end
  end
end

--- Leaves the task, or goes to a sink, where events may be tables: they are collected and encoded together in C
-- (`flush`), since a table is best walked there. Records go on at once, behind what is collected.
function M.collected(x, box, flush, direct)
  local task, domain = x.task, x.domain
  local wm = task.wm
  local events, times, stamps, watermarks = box.events, box.times, box.stamps, box.watermarks
  return function(event, time)
    if type(event) ~= "table" then
      if box.count > 0 then flush() end
      return direct(event, time)
    end
    local n = box.count + 1
    box.count = n
    events[n], times[n], stamps[n], watermarks[n] = event, time, task.stamp, wm[domain]
    if n == COLLECT then flush() end
  end
end

--- The same where events are acknowledged: what each descends from is set aside with it.
function M.collected_acked(x, box, flush, direct)
  local task, domain = x.task, x.domain
  local wm = task.wm
  local events, times, stamps, watermarks = box.events, box.times, box.stamps, box.watermarks
  local anchors = box.anchors
  return function(event, time)
    if type(event) ~= "table" then
      if box.count > 0 then flush() end
      return direct(event, time)
    end
    local n = box.count + 1
    box.count = n
    events[n], times[n], stamps[n], watermarks[n] = event, time, task.stamp, wm[domain]
    C.swffi_acks_reserve(task, anchors + n)
    if n == COLLECT then flush() end
  end
end

--- A sink that takes no notice.
function M.null_sink(x)
  local instance, is_fed = x.instance, x.is_fed
  return function()
    if not is_fed then instance.n_in = instance.n_in + 1 end
  end
end

--- A sink in Lua.
function M.custom_sink(x, fn, self)
  local task, instance, at, fail, trace = x.task, x.instance, x.at, x.fail, x.trace
  local is_fed = x.is_fed
  local function call(event) fn(self, event) end
  return function(event, time)
    if not is_fed then instance.n_in = instance.n_in + 1 end
    task.at = at
    local ok, err = xpcall(call, trace, event)
    if not ok then return fail(err, event, time) end
  end
end

--- Reads a batch of one input. `handle(row, event, time)` gets events; tables were decoded into `events` before.
function M.input_loop(task, handle, view_of, on_watermark, on_control)
  return function(batch, input, events)
    local p = cast(bytes_p, batch.data)
    for i = 1, batch.count do
      local row = cast(row_p, p)
      local len = row.len
      if row.kind ~= 0 then
        on_control(row, input)
      else
        if row.wm > input.wm then on_watermark(row.wm, input) end
        task.stamp = row.stamp
        local schema = row.schema
        if schema == 0 then
          handle(row, events[i], tonumber(row.time))
        else
          handle(row, view_of[schema](row), tonumber(row.time))
        end
      end
      p = p + len
    end
  end
end

--- The same where events are acknowledged.
function M.input_loop_acked(task, handle, view_of, on_watermark, on_control)
  return function(batch, input, events)
    local p = cast(bytes_p, batch.data)
    for i = 1, batch.count do
      local row = cast(row_p, p)
      local len = row.len
      if row.kind ~= 0 then
        on_control(row, input)
      else
        if row.wm > input.wm then on_watermark(row.wm, input) end
        task.stamp = row.stamp
        C.swffi_acks_open_row(task, row)
        local schema = row.schema
        if schema == 0 then
          handle(row, events[i], tonumber(row.time))
        else
          handle(row, view_of[schema](row), tonumber(row.time))
        end
        C.swffi_acks_close(task)
      end
      p = p + len
    end
  end
end

--- An event of a source in Lua, where events are acknowledged. `output` is its number in the source's task.replay_to.
-- Returns the event's id.
function M.given(x, to_row, output, pass)
  local task, fail = x.task, x.fail
  return function(event, time)
    local ok, row = pcall(to_row, event, time)
    if not ok then return fail(row, event, time) end
    local id = C.swffi_acks_open_new(task, row, output)
    if id == 0 then return fail("out of memory for a pending event", event, time) end
    pass(event, time)
    C.swffi_acks_close(task)
    return id
  end
end

--- apply with `manual_ack`, where events are acknowledged: the event is held until the operator releases it. It may be
-- kept until then, a record too.
function M.held(x, held, pass)
  local task, copy = x.task, x.copy
  return function(event, time, entry)
    if type(event) == "cdata" then event = copy(event) end
    held[event] = C.swffi_acks_open_held(task)
    pass(event, time, entry)
    C.swffi_acks_close(task)
  end
end

--- Reads the batch of a source in C: all rows of one shape.
function M.source_loop(x, view, on_watermark, on_malformed, pass)
  local task, instance = x.task, x.instance
  return function(batch, events)
    local p = cast(bytes_p, batch.data)
    for i = 1, batch.count do
      local row = cast(row_p, p)
      local len = row.len
      if row.wm > task.wm[0] then on_watermark(row.wm) end
      task.stamp = row.stamp
      if row.kind ~= 0 then
        on_malformed(events[i], tonumber(row.time))
      else
        instance.n_out = instance.n_out + 1
        pass(view and view(row) or events[i], tonumber(row.time))
      end
      p = p + len
    end
  end
end

--- The same where events are acknowledged; `outputs` has the numbers of what events and malformed input go to.
function M.source_loop_acked(x, view, on_watermark, on_malformed, pass, outputs)
  local task, instance, fail = x.task, x.instance, x.fail
  local default, malformed = outputs.default, outputs.malformed
  return function(batch, events)
    local p = cast(bytes_p, batch.data)
    for i = 1, batch.count do
      local row = cast(row_p, p)
      local len, is_event = row.len, row.kind == 0
      if row.wm > task.wm[0] then on_watermark(row.wm) end
      task.stamp = row.stamp
      if C.swffi_acks_open_new(task, row, is_event and default or malformed) == 0 then
        fail("out of memory for a pending event", nil, tonumber(row.time))
      else
        if is_event then
          instance.n_out = instance.n_out + 1
          pass(view and view(row) or events[i], tonumber(row.time))
        else
          on_malformed(events[i], tonumber(row.time))
        end
        C.swffi_acks_close(task)
      end
      p = p + len
    end
  end
end

--- The next event that was not made before a restore with another number of instances.
local function skip_made(i, step, is_made)
  while is_made(i) do i = i + step end
  return i
end

--- Makes up to `limit` events of a generator. Returns true when it has ended.
function M.generator_loop(x, fn, position, encode, reject, time_of, saw_time, pass)
  local task, instance, at, fail, trace = x.task, x.instance, x.at, x.fail, x.trace
  local about = x.about
  local function call(i)
    local event, time = fn(i, about)
    return event, time
  end
  return function(limit)
    local i, step, last, is_made = position.next, position.step, position.last, position.is_made
    local stop = i + step * (limit - 1)
    if stop > last then stop = last end
    while i <= stop do
      if is_made then
        i = skip_made(i, step, is_made)
        if i > stop then break end
      end
      task.at = at
      local ok, event, time = xpcall(call, trace, i)
      if not ok then
        fail(event, nil, tonumber(task.now_ms))
      elseif event == nil then
        return true
      else
        local fits, encoded = pcall(encode, event)
        if fits then time = time_of(encoded, time) else reject(event, encoded) end
        if fits and time ~= nil then -- Without a time it was rejected.
          instance.n_out = instance.n_out + 1
          pass(encoded, time)
          saw_time(time)
        end
      end
      i = i + step
    end
    position.next = i
    return i > last
  end
end

return M
