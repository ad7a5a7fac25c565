local sw = require("swlua")

local function nothing() end

--- Opens a job of one source whose events have a time `ts`; `build` gives the rows that reach the sink "rows".
local function open(build, options)
  options = options or {}
  return sw.test(function()
    local job = sw.job("windows", options.job)
    local source = job:source("events", sw.from.generator(nothing),
      { time = "ts", max_delay = options.max_delay, schema = options.schema })
    local rows = build(source)
    rows:to("rows", sw.to.null())
    rows:output("late"):to("late", sw.to.null())
    return job
  end, { seed = options.seed })
end

local function windowed(window, fields)
  return function(source) return source:key_by("k"):window(window):aggregate("w", fields or { n = sw.count() }) end
end

local function push(t, ...)
  for _, event in ipairs({ ... }) do t:push("events", { k = event[1], ts = event[2], v = event[3] }) end
end

--- Rows as "key start-end n" and what more is asked for.
local function shown(t, ...)
  local list = {}
  for i, row in ipairs(t:results("rows")) do
    local text = ("%s %d-%d %s"):format(tostring(row.k), row.window_start, row.window_end, sw.str(row.n))
    for _, field in ipairs({ ... }) do text = text .. " " .. sw.str(row[field]) end
    list[i] = text
  end
  return list
end

describe("27: a fixed window", function()
  it("holds an event of its start and none of its end: each event is in exactly one", function()
    local t = open(windowed(sw.tumbling("10s")))
    push(t, { "a", 0 }, { "a", 9999 }, { "a", 10000 }, { "a", 19999 }, { "a", 20000 })
    t:finish()
    assert.same({ "a 0-10000 2", "a 10000-20000 2", "a 20000-30000 1" }, shown(t))
  end)

  it("starts at multiples of its length since the epoch, before it too, and moved by an offset", function()
    local t = open(windowed(sw.tumbling("10s")))
    push(t, { "a", -1 }, { "a", 0 })
    t:finish()
    assert.same({ "a -10000-0 1", "a 0-10000 1" }, shown(t))
    local moved = open(windowed(sw.tumbling("10s", "3s")))
    push(moved, { "a", 2999 }, { "a", 3000 })
    moved:finish()
    assert.same({ "a -7000-3000 1", "a 3000-13000 1" }, shown(moved))
  end)

  it("without events does not fire", function()
    local t = open(windowed(sw.tumbling("10s")))
    push(t, { "a", 5000 }, { "b", 95000 })
    t:finish()
    assert.same({ "a 0-10000 1", "b 90000-100000 1" }, shown(t))
    local empty = open(windowed(sw.tumbling("10s")))
    empty:finish()
    assert.same({}, shown(empty))
  end)
end)

describe("28: a sliding window", function()
  it("has each event length / slide times, and starts at multiples of the slide", function()
    local t = open(windowed(sw.sliding("30s", "10s")))
    push(t, { "a", 25000 })
    t:finish()
    assert.same({ "a 0-30000 1", "a 10000-40000 1", "a 20000-50000 1" }, shown(t))
  end)

  it("that is no multiple of its slide has each event in as many as hold it", function()
    local t = open(windowed(sw.sliding("25s", "10s")))
    push(t, { "a", 24999 }, { "b", 25000 })
    t:finish()
    assert.same({ "a 0-25000 1", "a 10000-35000 1", "b 10000-35000 1", "a 20000-45000 1", "b 20000-45000 1" }, shown(t))
  end)

  it("keeps one accumulator a pane, however many windows share it", function()
    local t = open(windowed(sw.sliding("1h", "1s")))
    for i = 1, 50 do push(t, { "a", 1000 + i, 1 }) end
    local state, panes = t:state("w", "a"), 0
    for name in pairs(state) do panes = panes + (type(name) == "number" and 1 or 0) end
    assert.equal(1, panes)
    t:finish()
    assert.equal(3600, #t:results("rows"))
  end)
end)

describe("29: a session", function()
  it("is closed by a gap, per key", function()
    local t = open(windowed(sw.session("10s")))
    push(t, { "a", 0 }, { "b", 4000 }, { "a", 9000 }, { "b", 30000 })
    t:finish()
    assert.same({ "b 4000-14000 1", "a 0-19000 2", "b 30000-40000 1" }, shown(t))
  end)

  it("holds events at most the gap apart, and fires when the watermark has passed its end", function()
    local t = open(windowed(sw.session("10s")))
    push(t, { "a", 0 }, { "a", 10000 }, { "a", 10001 }, { "b", 20001 })
    assert.same({}, shown(t))
    push(t, { "b", 20002 })
    assert.same({ "a 0-20001 3" }, shown(t))
    local longer = open(windowed(sw.session("10s"))) -- by one millisecond than its first event's timer
    push(longer, { "a", 0 }, { "a", 1 }, { "b", 10001 }, { "a", 10001 })
    assert.same({}, shown(longer))
    longer:finish()
    assert.same({ "a 0-20001 3", "b 10001-20001 1" }, shown(longer))
  end)

  it("merges with another when an event bridges them", function()
    local t = open(windowed(sw.session("10s"), { n = sw.count(), v = sw.collect("v") }), { max_delay = "1m" })
    push(t, { "a", 0, 1 }, { "a", 20000, 2 }, { "a", 10000, 3 })
    t:finish()
    assert.same({ "a 0-30000 3 [1,3,2]" }, shown(t, "v"))
  end)
end)

describe("30: windows by count", function()
  it("fire every N events, and unfilled at the end of the input", function()
    local t = open(windowed(sw.tumbling(3)))
    for i = 1, 7 do push(t, { "a", i }) end
    assert.same({ "a 1-3 3 3", "a 4-6 3 3" }, shown(t, "window_count"))
    t:finish()
    assert.same("a 7-7 1 1", shown(t, "window_count")[3])
  end)

  it("that slide fire every M events over the last N", function()
    local t = open(windowed(sw.sliding(5, 2), { n = sw.count(), v = sw.collect("v") }))
    for i = 1, 9 do push(t, { "a", i, i }) end
    t:finish()
    assert.same({ "a 1-2 2 [1,2]", "a 1-4 4 [1,2,3,4]", "a 2-6 5 [2,3,4,5,6]", "a 4-8 5 [4,5,6,7,8]" },
      shown(t, "v"))
  end)

  it("go by the order in which events come", function()
    local t = open(windowed(sw.tumbling(2), { n = sw.count(), v = sw.collect("v") }), { max_delay = "1m" })
    push(t, { "a", 5, "x" }, { "a", 1, "y" }, { "a", 3, "z" })
    t:finish()
    assert.same({ 'a 1-5 2 ["y","x"]', 'a 3-3 1 ["z"]' }, shown(t, "v"))
  end)
end)

describe("31: windows are per key", function()
  for name, window in sw.pairs({ fixed = sw.tumbling("10s"), sliding = sw.sliding("10s", "10s"),
    counted = sw.tumbling(2), session = sw.session("10s"), unbounded = sw.unbounded() }) do
    it(name .. ": events of two cards never share one", function()
      local t = open(windowed(window, { n = sw.count(), v = sw.collect("v") }))
      for i = 1, 20 do push(t, { i % 2 == 0 and "even" or "odd", i * 100, i }) end
      t:finish()
      local seen = 0
      for _, row in ipairs(t:results("rows")) do
        for _, v in ipairs(row.v) do
          assert.equal(row.k == "even" and 0 or 1, v % 2)
          seen = seen + 1
        end
      end
      assert.equal(20, seen)
    end)
  end

  it("a window over all keys holds all of them", function()
    local t = open(function(source)
      return source:window(sw.tumbling("10s")):aggregate("w", { n = sw.count(), k = sw.distinct("k") })
    end, { job = { parallelism = 4 } })
    push(t, { "a", 1 }, { "b", 2 }, { "a", 3 })
    t:finish()
    assert.same({ { n = 3, k = 2, window_start = 0, window_end = 10000 } }, t:results("rows"))
  end)
end)

--- Events of three keys, a few a second, in order of time; no two at one time.
local function history(seed)
  math.randomseed(seed)
  local events, time = {}, 0
  for i = 1, 120 do
    time = time + math.random(20, 900)
    if i % 30 == 0 then time = time + 15000 end
    events[i] = { "k" .. i % 3, time, i }
  end
  return events
end

--- The same events in another order, none more than `bound` ms behind a later one.
local function disordered(events, seed, bound)
  math.randomseed(seed)
  local keys, order = {}, {}
  for i, event in ipairs(events) do keys[i], order[i] = event[2] + math.random(0, bound - 1), i end
  table.sort(order, function(a, b) return keys[a] < keys[b] end)
  local out = {}
  for i, k in ipairs(order) do out[i] = events[k] end
  return out
end

describe("32: in event time the same input gives the same windows", function()
  local FIELDS = { n = sw.count(), sum = sw.sum("v"), all = sw.collect("v"), first = sw.first("v"), last = sw.last("v"),
    most = sw.max_by("v"), middle = sw.quantile("v", 0.5), about = sw.approx_distinct("v") }

  for name, window in sw.pairs({ fixed = sw.tumbling("10s"), sliding = sw.sliding("10s", "2s"),
    session = sw.session("3s") }) do
    local function run(events, pace, seed)
      local t = open(windowed(window, FIELDS), { max_delay = "5s", seed = seed })
      for i, event in ipairs(events) do
        push(t, event)
        if pace > 0 and i % 7 == 0 then t:advance(pace) end
      end
      t:finish()
      assert.same({}, t:results("late"))
      return t:results("rows")
    end

    it(name .. ": at three speeds, in ten orders within the bound", function()
      local events = history(3)
      local expected = run(events, 0, 1)
      assert.is_true(#expected > 10)
      for seed = 1, 10 do
        for _, pace in ipairs({ 0, 50, 60000 }) do
          assert.same(expected, run(disordered(events, seed, 5000), pace, seed))
        end
      end
    end)
  end

  it("in processing time they go by the clock instead", function()
    local t = open(windowed(sw.tumbling("10s", { processing_time = true })))
    push(t, { "a", 77000 })
    t:advance("9s")
    push(t, { "a", 5 })
    assert.same({}, shown(t))
    t:advance("1s")
    assert.same({ "a 0-10000 2" }, shown(t))
    push(t, { "a", 6 })
    t:finish()
    assert.same({ "a 0-10000 2", "a 10000-20000 1" }, shown(t))
    assert.equal(0, t:counters("w").late)
  end)

  it("sessions and sliding windows go by the clock too", function()
    local t = open(windowed(sw.session("10s", { processing_time = true })))
    push(t, { "a", 1 })
    t:advance("10s")
    push(t, { "a", 1 })
    t:advance("10s")
    assert.same({}, shown(t))
    t:advance("1ms")
    assert.same({ "a 0-20000 2" }, shown(t))
    local sliding = open(windowed(sw.sliding("10s", "5s", { processing_time = true })))
    push(sliding, { "a", 1 })
    sliding:advance("1m")
    assert.same({ "a -5000-5000 1", "a 0-10000 1" }, shown(sliding))
  end)
end)

describe("33: the watermark", function()
  it("is the least over the inputs of the greatest time less the delay; a window fires when it is reached", function()
    local t = sw.test(function()
      local job = sw.job("two")
      local function source(name)
        return job:source(name, sw.from.generator(nothing), { time = "ts", max_delay = "2s" })
      end
      sw.union(source("left"), source("right")):key_by("k"):window(sw.tumbling("10s"))
        :aggregate("w", { n = sw.count() }):to("rows", sw.to.null())
      return job
    end)
    t:push("left", { k = "a", ts = 1000 })
    t:push("left", { k = "a", ts = 50000 })
    assert.same({}, shown(t)) -- The right one has said nothing.
    t:push("right", { k = "a", ts = 11999 })
    assert.same({}, shown(t))
    t:push("right", { k = "a", ts = 12000 })
    assert.same({ "a 0-10000 1" }, shown(t))
    t:finish()
    assert.same({ "a 0-10000 1", "a 10000-20000 2", "a 50000-60000 1" }, shown(t))
  end)

  it("is not held back by a source that is idle: windows close", function()
    local t = sw.test(function()
      local job = sw.job("two")
      local function source(name, idle)
        return job:source(name, sw.from.generator(nothing), { time = "ts", idle = idle })
      end
      sw.union(source("left"), source("right", { after = "10s", advance = false }))
        :key_by("k"):window(sw.tumbling("10s")):aggregate("w", { n = sw.count() }):to("rows", sw.to.null())
      return job
    end)
    t:push("right", { k = "a", ts = 500 })
    t:push("left", { k = "a", ts = 20000 })
    t:advance("9s")
    assert.same({}, shown(t))
    t:advance("2s")
    assert.same({ "a 0-10000 1" }, shown(t))
  end)

  it("fires rows of one advance by window end, then key; a row's time is its window's last", function()
    local t = open(function(source)
      return source:key_by("k"):window(sw.sliding("20s", "10s")):aggregate("w", { n = sw.count() })
        :apply("time", function(row, out)
          row.at = out.time
          out:emit(row)
        end)
    end)
    push(t, { "b", 5000 }, { "a", 15000 }, { "c", 90000 })
    assert.same({ "b -10000-10000 1 9999", "a 0-20000 1 19999", "b 0-20000 1 19999", "a 10000-30000 1 29999" },
      shown(t, "at"))
  end)
end)

describe("34: late events", function()
  it("make no second result: they are counted, and go to the late output as they came", function()
    local t = open(windowed(sw.tumbling("10s")))
    push(t, { "a", 9000, 1 }, { "a", 10000, 2 }, { "a", 9999, 3 }, { "b", 1, 4 })
    t:finish()
    assert.same({ "a 0-10000 1", "a 10000-20000 1" }, shown(t))
    assert.same({ { k = "a", ts = 9999, v = 3 }, { k = "b", ts = 1, v = 4 } }, t:results("late"))
    assert.equal(2, t:counters("w").late)
  end)

  it("of records pass as records beside rows with a schema", function()
    local schema = sw.record({ k = "string", ts = "time", v = "f64" })
    local t = open(function(source)
      return source:key_by("k"):window(sw.tumbling("10s")):process("w", function(window, events, out)
        out:emit({ k = window.key, n = #events, window_start = window.window_start, window_end = window.window_end })
      end, { schema = sw.record({ k = "string", n = "i64", window_start = "time", window_end = "time" }) })
    end, { schema = schema })
    push(t, { "a", 9000, 1 }, { "a", 10000, 2 }, { "a", 9999, 3 })
    t:finish()
    assert.same({ "a 0-10000 1", "a 10000-20000 1" }, shown(t))
    assert.same({ { k = "a", ts = 9999, v = 3 } }, t:results("late"))
  end)

  it("that nobody reads are counted all the same", function()
    local t = sw.test(function()
      local job = sw.job("unread")
      windowed(sw.tumbling("10s"))(job:source("events", sw.from.generator(nothing), { time = "ts" }))
        :to("rows", sw.to.null())
      return job
    end)
    push(t, { "a", 10000 }, { "a", 1 })
    assert.equal(1, t:counters("w").late)
    assert.equal(1, t:counters("w").unread)
  end)

  it("within the allowed lateness make one corrected row each, and behind it none", function()
    local t = open(windowed(sw.tumbling("10s", { lateness = "5s" })))
    push(t, { "a", 9000 }, { "a", 14999 }, { "a", 1 }, { "a", 2 }, { "a", 15000 }, { "a", 3 })
    t:finish()
    assert.same({ "a 0-10000 1 final", "a 0-10000 2 corrected", "a 0-10000 3 corrected", "a 10000-20000 2 final" },
      shown(t, "window_state"))
    assert.equal(1, #t:results("late"))
  end)

  it("that are the first of their window give its first row", function()
    local t = open(windowed(sw.tumbling("10s", { lateness = "5s" })))
    push(t, { "a", 12000 }, { "b", 1 }, { "b", 2 })
    assert.same({ "b 0-10000 1 final", "b 0-10000 2 corrected" }, shown(t, "window_state"))
  end)

  it("are late for some sliding windows and count in the others", function()
    local t = open(windowed(sw.sliding("20s", "10s")))
    push(t, { "b", 10000 }, { "a", 5000 })
    assert.equal(0, t:counters("w").late)
    t:finish()
    assert.same({ "a 0-20000 1", "b 0-20000 1", "b 10000-30000 1" }, shown(t))
  end)

  it("of a session that is closed open no second one", function()
    local t = open(windowed(sw.session("10s")))
    push(t, { "a", 0 }, { "b", 11000 }, { "a", 9000 })
    t:finish()
    assert.same({ "a 0-10000 1", "b 11000-21000 1" }, shown(t))
    assert.equal(1, t:counters("w").late)
  end)

  it("that merge sessions name the rows they replace", function()
    local t = open(windowed(sw.session("5s", { lateness = "1m" })))
    push(t, { "a", 1000 }, { "a", 9000 }, { "b", 20000 }, { "a", 5000 })
    local row = t:results("rows")[3]
    assert.same({ k = "a", n = 3, window_start = 1000, window_end = 14000, window_state = "corrected", replaces = {
      { window_start = 1000, window_end = 6000 }, { window_start = 9000, window_end = 14000 } } }, row)
  end)

  it("times that are missing, text, or none at all are malformed, and close no window", function()
    local t = open(windowed(sw.tumbling("10s")))
    push(t, { "a", 1000 }, { "a", nil }, { "a", "12:00" }, { "a", 0 / 0 }, { "a", math.huge })
    assert.equal(4, t:counters("events").malformed)
    assert.same({}, shown(t))
    t:finish()
    assert.same({ "a 0-10000 1" }, shown(t))
  end)
end)

--- Flags a card that is at two places sooner than 900 km/h allow: pairs of neighbours in time, of sorted events.
local function too_fast(events)
  for i = 2, #events do
    local hours = (events[i].ts - events[i - 1].ts) / 3600000
    if math.abs(events[i].v - events[i - 1].v) > 900 * hours then return true end
  end
  return false
end

local function flagged(window)
  return function(source)
    return source:key_by("k"):window(window):process("w", function(seen, events, out)
      if too_fast(events) then
        out:emit({ k = seen.key, window_start = seen.window_start, window_end = seen.window_end, n = #events })
      end
    end)
  end
end

--- Keeps each card's last place, and decides with every event.
local function flagged_at_once(source)
  return source:key_by("k"):apply("w", function(event, out, state)
    if state.last and too_fast({ state.last, event }) then
      out:emit({ k = event.k, window_start = state.last.ts, window_end = event.ts, n = 2 })
    end
    state.last = { ts = event.ts, v = event.v }
  end)
end

describe("35: an operator on a key-value store", function()
  it("keeps recent events of its key and decides at once, without waiting for a window to end", function()
    local t = open(flagged_at_once)
    push(t, { "c1", 0, 0 }, { "c2", 1000, 9000 }, { "c1", 60000, 500 })
    assert.same({ "c1 0-60000 2" }, shown(t))
  end)

  it("as a running aggregate tells its key's row with every event", function()
    local t = open(function(source) return source:key_by("k"):aggregate("w", { n = sw.count(), sum = sw.sum("v") }) end)
    push(t, { "c1", 0, 1 }, { "c2", 1, 5 }, { "c1", 2, 2 })
    assert.same({ { k = "c1", n = 1, sum = 1 }, { k = "c2", n = 1, sum = 5 }, { k = "c1", n = 2, sum = 3 } },
      t:results("rows"))
  end)
end)

describe("36: windowed proximity", function()
  local TRIP = { { "c1", 590000, 0 }, { "c1", 610000, 500 } } -- 500 km in 20 s, across a boundary of ten minutes

  it("in a fixed window misses a pair across its boundary", function()
    local t = open(flagged(sw.tumbling("10m")))
    push(t, unpack(TRIP))
    t:finish()
    assert.same({}, shown(t))
  end)

  it("in a sliding window catches it", function()
    local t = open(flagged(sw.sliding("10m", "5m")))
    push(t, unpack(TRIP))
    t:finish()
    assert.same({ "c1 300000-900000 2" }, shown(t))
  end)

  it("by the key's store catches it too", function()
    local t = open(flagged_at_once)
    push(t, unpack(TRIP))
    assert.same({ "c1 590000-610000 2" }, shown(t))
  end)

  it("leaves a card alone that travels as one can", function()
    local t = open(flagged(sw.sliding("3h", "1h")))
    push(t, { "c1", 0, 0 }, { "c1", 3600000, 800 })
    t:finish()
    assert.same({}, shown(t))
  end)
end)
