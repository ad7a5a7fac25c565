local sw = require("swlua")

local function nothing() return nil end

--- A test of one source, windowed as `build(stream)` says, ending in the sink "rows".
local function open(build, options)
  return sw.test(function()
    local job = sw.job("windows")
    local source = job:source("in", sw.from.generator(nothing), options or { time = "ts", max_delay = "0s" })
    local rows = build(source)
    rows:to("rows", sw.to.null())
    rows:output("late"):to("late", sw.to.null())
    return job
  end)
end

--- Each row's fields as one text.
local function texts(t, ...)
  local list = {}
  for i, row in ipairs(t:results("rows")) do
    local parts = {}
    for j, field in ipairs({ ... }) do parts[j] = sw.str(row[field]) end
    list[i] = table.concat(parts, " ")
  end
  return list
end

local function push(t, ...)
  for _, event in ipairs({ ... }) do t:push("in", { k = event[1], ts = event[2], v = event[3] }) end
end

describe("a tumbling window", function()
  local function counts(window)
    return open(function(s) return s:key_by("k"):window(window):aggregate("w", { n = sw.count(), s = sw.sum("v") }) end)
  end

  it("fires when the watermark reaches its end, rows by end and then key", function()
    local t = counts(sw.tumbling("10s"))
    push(t, { "b", 1000, 1 }, { "a", 9999, 2 }, { "a", 2000, 3 })
    assert.same({}, texts(t, "k"))
    push(t, { "a", 10000, 4 })
    assert.same({ "a 2 5 0 10000", "b 1 1 0 10000" }, texts(t, "k", "n", "s", "window_start", "window_end"))
    t:finish()
    assert.equal("a 1 4 10000 20000", texts(t, "k", "n", "s", "window_start", "window_end")[3])
  end)

  it("gives late events to the output late and never counts them", function()
    local t = counts(sw.tumbling("10s"))
    push(t, { "a", 9000, 1 }, { "a", 10000, 2 }, { "a", 9500, 3 })
    t:finish()
    assert.same({ "1 1", "1 2" }, texts(t, "n", "s"))
    assert.equal(3, t:results("late")[1].v)
  end)

  it("with lateness corrects a row once per late event, and forgets the window behind it", function()
    local t = counts(sw.tumbling("10s", { lateness = "5s" }))
    push(t, { "a", 9000, 1 }, { "a", 10000, 2 }, { "a", 9500, 3 }, { "b", 9000, 5 })
    push(t, { "a", 15000, 1 }, { "a", 9999, 7 })
    t:finish()
    assert.same({ "a 0 1 final", "a 0 4 corrected", "b 0 5 final", "a 10000 3 final" },
      texts(t, "k", "window_start", "s", "window_state"))
    assert.equal(7, t:results("late")[1].v)
  end)

  it("has an offset", function()
    local t = counts(sw.tumbling("10s", "3s"))
    push(t, { "a", 2999, 1 }, { "a", 3000, 1 })
    t:finish()
    assert.same({ "-7000 3000", "3000 13000" }, texts(t, "window_start", "window_end"))
  end)

  it("gives early rows while there is something new", function()
    local t = counts(sw.tumbling("10s", { every = "2s" }))
    push(t, { "a", 1000, 1 }, { "a", 2500, 1 }, { "b", 7000, 1 })
    t:finish()
    assert.same({ "a 2 early", "b 1 early", "a 2 final", "b 1 final" }, texts(t, "k", "n", "window_state"))
  end)

  it("gives early rows every Nth event", function()
    local t = counts(sw.tumbling("10s", { every = 2 }))
    push(t, { "a", 1000, 1 }, { "a", 2500, 1 }, { "a", 7000, 1 })
    t:finish()
    assert.same({ "2 early", "3 final" }, texts(t, "n", "window_state"))
  end)

  it("goes by the clock", function()
    local t = open(function(s)
      return s:key_by("k"):window(sw.tumbling("10s", { processing_time = true })):aggregate("w", { n = sw.count() })
    end, {})
    push(t, { "a" }, { "a" })
    t:advance("10s")
    push(t, { "a" })
    t:advance("10s")
    assert.same({ "2", "1" }, texts(t, "n"))
  end)

  it("without a key is one of all events", function()
    local t = open(function(s) return s:window(sw.tumbling("10s")):aggregate("w", { n = sw.count() }) end)
    push(t, { "a", 1 }, { "b", 2 })
    t:finish()
    assert.same({ { n = 2, window_start = 0, window_end = 10000 } }, t:results("rows"))
  end)

  it("shows the key of a function as key, and the fields of several", function()
    local function keys(key, ...)
      local t = open(function(s) return s:key_by(key):window(sw.tumbling("1s")):aggregate("w", { n = sw.count() }) end)
      push(t, { "a", 1, 5 })
      t:finish()
      return texts(t, ...)
    end
    assert.same({ "a!" }, keys(function(event) return event.k .. "!" end, "key"))
    assert.same({ "a 5" }, keys({ "k", "v" }, "k", "v"))
  end)
end)

--- Rows { start, last, n } that windows of one key ought to give, from all events at once.
local function windows_of(times, length, slide)
  local by_start, starts = {}, {}
  for _, time in ipairs(times) do
    for start = math.floor(time / slide) * slide, time - length + 1, -slide do
      if not by_start[start] then starts[#starts + 1] = start end
      by_start[start] = (by_start[start] or 0) + 1
    end
  end
  table.sort(starts)
  for i, start in ipairs(starts) do starts[i] = ("%d %d %d"):format(start, start + length, by_start[start]) end
  return starts
end

local function sessions_of(times, gap)
  local sorted, rows = sw.copy(times), {}
  table.sort(sorted)
  local first, last, n
  for i = 1, #sorted + 1 do
    local time = sorted[i]
    if first and (not time or time > last + gap) then
      rows[#rows + 1] = ("%d %d %d"):format(first, last + gap, n)
      first = nil
    end
    if time then
      if not first then first, n = time, 0 end
      last, n = time, n + 1
    end
  end
  return rows
end

describe("windows of random, disordered events", function()
  local function run(window, times)
    local t = open(function(s) return s:key_by("k"):window(window):aggregate("w", { n = sw.count() }) end,
      { time = "ts", max_delay = "20s" })
    for _, time in ipairs(times) do push(t, { "a", time }) end
    t:finish()
    assert.same({}, t:results("late"))
    return texts(t, "window_start", "window_end", "n")
  end

  for seed = 1, 10 do
    it("are those that sorting all of them gives, seed " .. seed, function()
      math.randomseed(seed)
      local times = {}
      for i = 1, 200 do times[i] = i * 700 + math.random(0, 19000) end
      assert.same(windows_of(times, 10000, 10000), run(sw.tumbling("10s"), times))
      assert.same(windows_of(times, 10000, 3000), run(sw.sliding("10s", "3s"), times))
      assert.same(sessions_of(times, 900), run(sw.session("900ms"), times))
    end)
  end
end)

describe("a session", function()
  local function sessions(window)
    return open(function(s) return s:key_by("k"):window(window):aggregate("w", { n = sw.count() }) end)
  end

  it("holds events at most the gap apart, and fires once the watermark is behind its end", function()
    local t = sessions(sw.session("5s"))
    push(t, { "a", 1000 }, { "a", 6000 }, { "b", 11000 })
    assert.same({}, texts(t, "n"))
    push(t, { "b", 11001 })
    assert.same({ "a 2 1000 11000" }, texts(t, "k", "n", "window_start", "window_end"))
  end)

  it("that a late event merges names what it replaces", function()
    local t = sessions(sw.session("5s", { lateness = "1m" }))
    push(t, { "a", 1000 }, { "a", 9000 }, { "b", 20000 }, { "a", 5000 })
    local rows = t:results("rows")
    assert.equal(3, #rows)
    assert.same({ k = "a", n = 3, window_start = 1000, window_end = 14000, window_state = "corrected", replaces = {
      { window_start = 1000, window_end = 6000 }, { window_start = 9000, window_end = 14000 } } }, rows[3])
  end)

  it("folds events of sessions that merged", function()
    local t = open(function(s)
      return s:key_by("k"):window(sw.session("5s")):fold("w", function() return { text = "" } end, function(acc, event)
        acc.text = acc.text .. event.v
        return acc
      end)
    end, { time = "ts", max_delay = "1m" })
    push(t, { "a", 1000, "x" }, { "a", 9000, "y" }, { "a", 5000, "z" })
    t:finish()
    assert.same({ k = "a", text = "xzy", window_start = 1000, window_end = 14000 }, t:results("rows")[1])
  end)
end)

describe("a window by count", function()
  it("of fixed length fires with every Nth event, and unfilled at the end", function()
    local t = open(function(s) return s:key_by("k"):window(sw.tumbling(2)):aggregate("w", { s = sw.sum("v") }) end)
    push(t, { "a", 5, 1 }, { "b", 6, 2 }, { "a", 7, 3 }, { "a", 8, 4 })
    t:finish()
    assert.same({ "a 4 2 5 7", "a 4 1 8 8", "b 2 1 6 6" },
      texts(t, "k", "s", "window_count", "window_start", "window_end"))
  end)

  it("that slides fires every Mth event with up to N", function()
    local t = open(function(s)
      return s:key_by("k"):window(sw.sliding(3, 2)):aggregate("w", { c = sw.collect("v") })
    end)
    for i = 1, 7 do push(t, { "a", i, i }) end
    t:finish()
    assert.same({ "[1,2]", "[2,3,4]", "[4,5,6]" }, texts(t, "c"))
  end)
end)

describe("a window without bounds", function()
  it("fires by every and at the end", function()
    local t = open(function(s)
      return s:key_by("k"):window(sw.unbounded({ every = "10s" })):aggregate("w", { n = sw.count() })
    end)
    push(t, { "a", 1000 }, { "a", 2000 }, { "a", 12000 })
    t:finish()
    assert.same({ "3 early", "3 final" }, texts(t, "n", "window_state"))
  end)
end)

describe("a window's events", function()
  it("are reduced to one", function()
    local t = open(function(s)
      return s:key_by("k"):window(sw.tumbling("1s")):reduce("w", function(a, b) return a.v > b.v and a or b end)
    end)
    push(t, { "a", 1, 1 }, { "a", 2, 9 }, { "a", 3, 4 })
    t:finish()
    assert.same({ { k = "a", ts = 2, v = 9, window_start = 0, window_end = 1000 } }, t:results("rows"))
  end)

  it("are folded, and a function makes the row", function()
    local t = open(function(s)
      return s:key_by("k"):window(sw.tumbling("1s")):fold("w", function() return 0 end,
        function(acc, event) return acc + event.v end,
        function(acc, window) return { sum = acc, of = window.key, to = window.window_end } end)
    end)
    push(t, { "a", 1, 1 }, { "a", 2, 9 })
    t:finish()
    assert.same({ { sum = 10, of = "a", to = 1000 } }, t:results("rows"))
  end)

  it("are processed together; what is emitted has the window's time", function()
    local t = open(function(s)
      return s:key_by("k"):window(sw.tumbling("1s")):process("w", function(window, events, out)
        out:emit({ n = #events, key = window.key, first = events[1].v })
      end):apply("time", function(event, out)
        event.at = out.time
        out:emit(event)
      end)
    end)
    push(t, { "a", 1, 1 }, { "a", 2, 9 })
    t:finish()
    assert.same({ { at = 999, n = 2, key = "a", first = 1 } }, t:results("rows"))
  end)

  for name, window in pairs({
    tumbling = sw.tumbling("10s"), sliding = sw.sliding("10s", "5s"), session = sw.session("9s"),
    counted = sw.tumbling(4), unbounded = sw.unbounded(),
  }) do
    it("survive a crash, " .. name, function()
      local function run(crashes)
        local t = open(function(s)
          return s:key_by("k"):window(window):aggregate("w", { c = sw.collect("v"), q = sw.quantile("v", 0.5),
            d = sw.approx_distinct("v"), m = sw.mean("v"), l = sw.last("v") })
        end)
        push(t, { "a", 1000, 1 }, { "b", 3000, 2 }, { "a", 7000, 3 })
        if crashes then
          t:checkpoint()
          t:crash()
          t:restore()
        end
        push(t, { "a", 8000, 4 }, { "b", 9000, 5 }, { "a", 31000, 6 })
        t:finish()
        return t:results("rows")
      end
      local expected = run(false)
      assert.is_true(#expected > 0)
      assert.same(expected, run(true))
    end)
  end
end)

describe("aggregators", function()
  local function result(aggregator, values)
    local t = open(function(s) return s:window(sw.tumbling("1s")):aggregate("w", { r = aggregator }) end)
    for i, v in ipairs(values) do t:push("in", { ts = i % 1000, v = v }) end
    t:finish()
    return t:results("rows")[1].r
  end

  it("give what their names say", function()
    local values = { 3, 1, 2, 3 }
    assert.equal(4, result(sw.count(), values))
    assert.equal(9, result(sw.sum("v"), values))
    assert.equal(9 / 4, result(sw.mean("v"), values))
    assert.equal(1, result(sw.min("v"), values))
    assert.equal(3, result(sw.max("v"), values))
    assert.equal(3, result(sw.first("v"), values))
    assert.equal(3, result(sw.last("v"), values))
    assert.same({ ts = 2, v = 1 }, result(sw.min_by("v"), values))
    assert.same({ ts = 1, v = 3 }, result(sw.max_by("v"), values))
    assert.same(values, result(sw.collect("v"), values))
    assert.equal(3, result(sw.distinct("v"), values))
    assert.equal(3, result(sw.approx_distinct("v"), values))
    assert.equal(2, result(sw.quantile("v", 0.5), values))
    assert.equal(18, result(sw.sum(function(event) return 2 * event.v end), values))
  end)

  it("pass nil over", function()
    local t = open(function(s)
      return s:window(sw.tumbling("1s")):aggregate("w", { n = sw.count(), s = sw.sum("v"), m = sw.mean("v") })
    end)
    t:push("in", { ts = 1 })
    t:finish()
    assert.same({ { n = 1, s = 0, window_start = 0, window_end = 1000 } }, t:results("rows"))
  end)

  it("estimate many different values within 5 %, and quantiles within 1 %", function()
    local values = {}
    for i = 1, 20000 do values[i] = (i * 7919) % 20011 - 1000 end
    assert.near(20000, result(sw.approx_distinct("v"), values), 1000)
    local sorted = sw.copy(values)
    table.sort(sorted)
    for _, q in ipairs({ 0.01, 0.5, 0.99 }) do
      local exact = sorted[math.ceil(q * #sorted)]
      assert.near(exact, result(sw.quantile("v", q), values), math.abs(exact) * 0.0101)
    end
  end)

  it("run without a window", function()
    local t = open(function(s) return s:key_by("k"):aggregate("w", { n = sw.count(), s = sw.sum("v") }) end)
    push(t, { "a", 1, 1 }, { "b", 2, 5 }, { "a", 3, 2 })
    assert.same({ "a 1 1", "b 1 5", "a 2 3" }, texts(t, "k", "n", "s"))
  end)
end)

describe("early rows", function()
  it("of sliding windows come of all that are open and have something new", function()
    local t = open(function(s)
      return s:key_by("k"):window(sw.sliding("20s", "10s", { every = "4s" })):aggregate("w", { n = sw.count() })
    end)
    push(t, { "a", 11000 }, { "b", 12500 }, { "b", 17000 }, { "b", 21000 })
    assert.same({ "a 0 1 early", "a 10000 1 early", "b 0 2 early", "b 10000 2 early", "a 0 1 final", "b 0 2 final" },
      texts(t, "k", "window_start", "n", "window_state"))
  end)

  it("of sessions come with the bounds of the moment, and name those they replace", function()
    local t = open(function(s)
      return s:key_by("k"):window(sw.session("10s", { every = 2 })):aggregate("w", { n = sw.count() })
    end)
    for i = 1, 5 do push(t, { "a", i * 1000 }) end
    t:finish()
    assert.same({ "2 12000 early null", '4 14000 early [{"window_end":12000,"window_start":1000}]',
      '5 15000 final [{"window_end":14000,"window_start":1000}]' },
      texts(t, "n", "window_end", "window_state", "replaces"))
  end)

  it("of sessions come by time too", function()
    local t = open(function(s)
      return s:key_by("k"):window(sw.session("10s", { every = "5s" })):aggregate("w", { n = sw.count() })
    end)
    push(t, { "a", 1000 }, { "a", 6000 }, { "b", 9000 }, { "b", 10000 })
    assert.same({ "a 2 1000 16000 early", "b 2 9000 20000 early" },
      texts(t, "k", "n", "window_start", "window_end", "window_state"))
  end)

  it("of a window without end come after every Nth event", function()
    local t = open(function(s)
      return s:key_by("k"):window(sw.unbounded({ every = 2 })):aggregate("w", { n = sw.count() })
    end)
    for i = 1, 5 do push(t, { "a", i }) end
    t:finish()
    assert.same({ "2 early 1 2", "4 early 1 4", "5 final 1 5" },
      texts(t, "n", "window_state", "window_start", "window_end"))
  end)

  it("of a window without end come by the clock", function()
    local t = open(function(s)
      return s:key_by("k"):window(sw.unbounded({ every = "10s", processing_time = true }))
        :aggregate("w", { n = sw.count() })
    end, {})
    push(t, { "a" }, { "a" })
    t:advance("10s")
    t:advance("1m")
    push(t, { "a" })
    t:finish()
    assert.same({ "2 early", "3 final" }, texts(t, "n", "window_state"))
  end)
end)

describe("a fold", function()
  local function folded(window, options)
    return open(function(s)
      return s:key_by("k"):window(window):fold("w", function() return { text = "" } end, function(acc, event)
        acc.text = acc.text .. event.v
        return acc
      end, options)
    end, { time = "ts", max_delay = "1m" })
  end

  it("of windows that overlap keeps the events, and folds them in order of time", function()
    local t = folded(sw.sliding("2s", "1s"))
    push(t, { "a", 1500, "x" }, { "a", 900, "y" }, { "a", 1100, "z" })
    t:finish()
    assert.same({ "y", "yzx", "zx" }, texts(t, "text"))
  end)

  it("keeps only accumulators where the option merge makes one of two", function()
    local t = folded(sw.sliding("2s", "1s"), { merge = function(a, b)
      a.text = a.text .. "|" .. b.text
      return a
    end })
    push(t, { "a", 500, "x" }, { "a", 900, "y" }, { "a", 1100, "z" })
    assert.same({ { text = "xy" }, true }, t:state("w", "a")[0])
    t:finish()
    assert.same({ "xy", "xy|z", "z" }, texts(t, "text"))
  end)

  it("of the last N events slides too", function()
    local t = folded(sw.sliding(4, 2))
    for i = 1, 6 do push(t, { "a", i, tostring(i) }) end
    t:finish()
    assert.same({ "12", "1234", "3456" }, texts(t, "text"))
  end)
end)

describe("an error in a function of a window", function()
  it("that reads an event sets the event aside, and opens no window", function()
    local t = open(function(s)
      return s:key_by("k"):window(sw.tumbling("10s"))
        :aggregate("w", { n = sw.sum(function(event) return event.v.x end) })
    end)
    push(t, { "a", 1, nil }, { "a", 2, { x = 5 } })
    assert.equal(1, #t:dead_letters())
    assert.equal("w", t:dead_letters()[1].component)
    assert.equal(1, t:dead_letters()[1].event.ts)
    t:finish()
    assert.same({ "5" }, texts(t, "n"))
  end)

  it("that makes a row is the component's, and the window goes all the same", function()
    local t = open(function(s)
      return s:key_by("k"):window(sw.tumbling("10s")):process("w", function(window, events, out)
        if window.window_start == 0 then error("no row") end
        out:emit({ n = #events })
      end)
    end)
    push(t, { "a", 1 }, { "a", 10000 }, { "a", 20000 })
    assert.equal(1, t:counters("w").errors)
    assert.same({ "1" }, texts(t, "n"))
    t:finish()
    assert.is_nil(t:state("w", "a"))
  end)

  it("that folds the first event leaves no row", function()
    local t = open(function(s)
      return s:key_by("k"):window(sw.tumbling("10s")):fold("w", function() error("no start") end, function() end)
    end)
    push(t, { "a", 1 })
    t:finish()
    assert.same({}, t:results("rows"))
    assert.matches("no start", t:dead_letters()[1].error, 1, true)
  end)

  it("is one when it sets a timer, or returns no event", function()
    local t = open(function(s)
      return s:key_by("k"):window(sw.tumbling("10s")):process("w", function(_, _, out) out:timer(5) end)
    end)
    push(t, { "a", 1 }, { "a", 10000 })
    assert.matches("a window's function has no timers", t:dead_letters()[1].error, 1, true)
    local reduced = open(function(s)
      return s:key_by("k"):window(sw.tumbling("10s")):reduce("w", function() return nil end)
    end)
    push(reduced, { "a", 1 }, { "a", 2 })
    assert.matches("reduce: the function returned no event", reduced:dead_letters()[1].error, 1, true)
  end)
end)

describe("windows", function()
  it("that no time ends are forgotten after ttl without an event", function()
    local t = open(function(s)
      return s:key_by("k"):window(sw.tumbling(3)):aggregate("w", { n = sw.count() }, { ttl = "10s" })
    end)
    push(t, { "a", 1 }, { "a", 2 }, { "a", 20000 }, { "a", 20001 }, { "a", 20002 })
    t:finish()
    assert.same({ "3 20000 20002" }, texts(t, "n", "window_start", "window_end"))
  end)

  it("have the key nil, those of one number in any form, and integers beyond 2^53", function()
    local t = open(function(s)
      return s:key_by("k"):window(sw.tumbling("10s")):aggregate("w", { n = sw.count() })
    end)
    push(t, { nil, 1 }, { nil, 2 }, { 1, 3 }, { 1LL, 4 }, { 9007199254740993LL, 5 }, { true, 6 })
    t:finish()
    local found = texts(t, "k", "n")
    table.sort(found)
    assert.same({ "1 2", "9007199254740993 1", "null 2", "true 1" }, found)
  end)

  it("of several key fields show those that are there", function()
    local t = open(function(s)
      return s:key_by({ "k", "v" }):window(sw.session("10s")):process("w", function(window, _, out)
        out:emit({ key = window.key })
      end)
    end)
    push(t, { "a", 1, nil }, { "a", 2, 5 })
    t:finish()
    assert.same({ { key = { "a", 5 } }, { key = { "a" } } }, { t:results("rows")[2], t:results("rows")[1] })
  end)

  it("of a stream keyed by different fields show the key as key", function()
    local t = sw.test(function()
      local job = sw.job("two")
      local function source(name) return job:source(name, sw.from.generator(nothing), { time = "ts" }) end
      sw.union(source("l"):key_by("a"), source("r"):key_by("b")):window(sw.tumbling("1s"))
        :aggregate("w", { n = sw.count() }):to("rows", sw.to.null())
      return job
    end)
    t:push("l", { ts = 1, a = 5 })
    t:push("r", { ts = 2, b = 5 })
    t:finish()
    assert.same({ { key = 5, n = 2, window_start = 0, window_end = 1000 } }, t:results("rows"))
  end)

  it("behind windows are fed by their rows, and lose none", function()
    local t = open(function(s)
      return s:key_by("k"):window(sw.tumbling("1s")):aggregate("small", { n = sw.count() })
        :window(sw.tumbling("10s")):aggregate("w", { n = sw.sum("n"), rows = sw.count() })
    end)
    for i = 0, 29 do push(t, { "k" .. math.floor(i / 2) % 2, i * 500 }) end
    t:finish()
    assert.same({ "20 10 0", "10 5 10000" }, texts(t, "n", "rows", "window_start"))
  end)

  it("keep nothing of a key when its windows are over", function()
    for _, window in ipairs({ sw.tumbling("1s", { lateness = "1s", every = "100ms" }), sw.sliding("1s", "300ms"),
      sw.sliding("1s", "500ms", { every = 3, lateness = "1s" }), sw.session("1s", { lateness = "1s", every = 2 }),
      sw.session("1s"), sw.tumbling(2) }) do
      local t = open(function(s) return s:key_by("k"):window(window):aggregate("w", { n = sw.count() }) end)
      for i = 1, 6 do push(t, { "a", i * 150 }) end
      push(t, { "b", 100000 })
      assert.is_nil(t:state("w", "a"))
    end
  end)
end)

describe("windows by count and without end", function()
  for name, window in pairs({ fixed = sw.tumbling(3), sliding = sw.sliding(6, 4),
    unbounded = sw.unbounded({ every = "3s" }) }) do
    it("go on after crashes, " .. name, function()
      local function run(crashes)
        local t = sw.test(function()
          local job = sw.job("windows", { delivery = "exactly-once" })
          job:source("in", sw.from.generator(nothing), { time = "ts" }):key_by("k")
            :window(window):aggregate("w", { v = sw.collect("v"), q = sw.quantile("v", 0.9) })
            :to("rows", sw.to.null())
          return job
        end)
        for i = 1, 40 do
          push(t, { "k" .. i * i % 3, i * 1000, i })
          if crashes and i % 7 == 0 then t:checkpoint() end
          if crashes and i % 10 == 0 then
            t:crash()
            t:restore()
          end
        end
        t:finish()
        return t:results("rows")
      end
      assert.same(run(false), run(true))
    end)
  end
end)

describe("a window is refused", function()
  local function refused(message, build)
    assert.error_matches(function() open(build) end, message, 1, true)
  end

  local function windowed(window)
    return function(s) return s:window(window()):aggregate("w", { n = sw.count() }) end
  end
  local function aggregated(fields, options)
    return function(s) return s:key_by("k"):window(sw.tumbling("1s")):aggregate("w", fields, options) end
  end

  it("for what it is made of", function()
    refused("sw.tumbling: the length must be", windowed(function() return sw.tumbling("10") end))
    refused("a window by count takes no offset", windowed(function() return sw.tumbling(10, "1s") end))
    for name, value in sw.pairs({ lateness = "1s", every = 5, processing_time = true }) do
      local message = "a window by count takes no " .. name
      refused(message, windowed(function() return sw.sliding(10, 5, { [name] = value }) end))
      refused(message, windowed(function() return sw.tumbling(10, { [name] = value }) end))
    end
    refused("a window without end takes no lateness", windowed(function() return sw.unbounded({ lateness = "1s" }) end))
    refused("processing_time takes no lateness", windowed(function()
      return sw.session("1s", { lateness = "1s", processing_time = true })
    end))
    refused('unknown option "latenes" (did you mean "lateness"?)', windowed(function()
      return sw.session("1s", { latenes = "1s" })
    end))
    refused('option "every" must be a duration', windowed(function() return sw.session("1s", { every = 1.5 }) end))
    refused("longer than the window", windowed(function() return sw.sliding("1s", "2s") end))
    refused("expected a window", windowed(function() return "10s" end))
  end)

  it("for what becomes of it", function()
    refused("must be an aggregator", aggregated({ n = "count" }))
    refused("expected aggregators by name", aggregated(nil))
    refused('unknown option "ttl"', aggregated({ n = sw.count() }, { ttl = "1s" }))
    refused('unknown option "merge"', aggregated({ n = sw.count() }, { merge = nothing }))
    refused("expected a function, got nil", function(s) return s:window(sw.tumbling("1s")):process("w") end)
    refused("a field cannot be named", aggregated({ k = sw.count() }))
    refused("sw.quantile: expected a number from 0 to 1", function(s)
      return aggregated({ n = sw.quantile("v", 50) })(s)
    end)
    refused("has one instance", function(s)
      return s:window(sw.tumbling("1s")):aggregate("w", { n = sw.count() }, { parallelism = 2 })
    end)
  end)
end)
