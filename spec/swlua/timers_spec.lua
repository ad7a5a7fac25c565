local sw = require("swlua")

local function nothing() end

local DO = {} -- What the events of these specs tell the operator to do.
function DO.timer(event, out) out:timer(event.at, event.name) end
function DO.processing(event, out) out:processing_timer(event.after, event.name) end
function DO.cancel(event, out) out:cancel(event.name or event.at) end
function DO.nothing() end

--- Opens a job whose operator sets timers as it is told, and emits a row for each that fires.
local function open(options, on_timer)
  options = options or {}
  return sw.test(function()
    local job = sw.job("timers")
    local s = job:source("events", sw.from.generator(nothing), { time = "ts", max_delay = options.max_delay })
    if not options.unkeyed then s = s:key_by("k") end
    s:apply("alarm", {
      apply = function(_, event, out, state)
        DO[event.what or "nothing"](event, out)
        if state then state.seen = (state.seen or 0) + 1 end
      end,
      on_timer = on_timer or function(_, time, out, state, name)
        out:emit({ key = out.key, time = time, at = out.time, wm = out.watermark, name = name, now = out:now(),
          seen = state and state.seen })
      end,
    }, { parallelism = options.parallelism }):to("results", sw.to.null())
    return job
  end)
end

local function fired(t)
  local list = {}
  for i, row in ipairs(t:results("results")) do
    list[i] = tostring(row.key) .. "@" .. row.time .. (row.name and ":" .. row.name or "")
  end
  return list
end

describe("an event-time timer", function()
  it("fires when the watermark reaches its time, and not before", function()
    local t = open()
    t:push("events", { k = "a", ts = 0, what = "timer", at = 100 })
    t:push("events", { k = "a", ts = 99 })
    assert.same({}, fired(t))
    t:push("events", { k = "b", ts = 100 })
    assert.same({ "a@100" }, fired(t))
    t:push("events", { k = "b", ts = 500 })
    assert.same({ "a@100" }, fired(t))
  end)

  it("waits for max_delay, as the watermark does", function()
    local t = open({ max_delay = "50ms" })
    t:push("events", { k = "a", ts = 0, what = "timer", at = 100 })
    t:push("events", { k = "a", ts = 149 })
    assert.same({}, fired(t))
    t:push("events", { k = "a", ts = 150 })
    assert.same({ "a@100" }, fired(t))
  end)

  it("gets its own key, state and time, and the watermark it fires by", function()
    local t = open()
    for _, k in ipairs({ "a", "b", "b" }) do t:push("events", { k = k, ts = 0, what = "timer", at = 100 }) end
    t:advance_watermark(300)
    assert.same({ { key = "a", time = 100, at = 100, wm = 300, now = 0, seen = 1 },
      { key = "b", time = 100, at = 100, wm = 300, now = 0, seen = 2 } }, t:results("results"))
  end)

  it("set twice for the same time fires once", function()
    local t = open()
    for _ = 1, 3 do t:push("events", { k = "a", ts = 0, what = "timer", at = 100 }) end
    t:advance_watermark(100)
    assert.same({ "a@100" }, fired(t))
  end)

  it("with a name is moved when it is set again, and is apart from one without", function()
    local t = open()
    t:push("events", { k = "a", ts = 0, what = "timer", at = 100, name = "x" })
    t:push("events", { k = "a", ts = 0, what = "timer", at = 200, name = "x" })
    t:push("events", { k = "a", ts = 0, what = "timer", at = 150 })
    t:push("events", { k = "a", ts = 0, what = "timer", at = 150, name = "y" })
    t:advance_watermark(1000)
    assert.same({ "a@150", "a@150:y", "a@200:x" }, fired(t))
  end)

  it("can be cancelled by its time or name, by its own key only", function()
    local t = open()
    for _, k in ipairs({ "a", "b" }) do
      t:push("events", { k = k, ts = 0, what = "timer", at = 100 })
      t:push("events", { k = k, ts = 0, what = "timer", at = 200, name = "x" })
    end
    t:push("events", { k = "a", ts = 0, what = "cancel", at = 100 })
    t:push("events", { k = "a", ts = 0, what = "cancel", name = "x" })
    t:push("events", { k = "c", ts = 0, what = "cancel", at = 100 })
    t:advance_watermark(1000)
    assert.same({ "b@100", "b@200:x" }, fired(t))
  end)

  it("comes in the order of time, then key", function()
    local t = open()
    for _, case in ipairs({ { "b", 300 }, { "a", 300 }, { "c", 100 }, { "b", 200 }, { "a", -5 } }) do
      t:push("events", { k = case[1], ts = -100, what = "timer", at = case[2] })
    end
    t:advance_watermark(1000)
    assert.same({ "a@-5", "c@100", "b@200", "a@300", "b@300" }, fired(t))
  end)

  it("that is overdue when it is set fires at once", function()
    local t = open()
    t:push("events", { k = "a", ts = 1000 })
    t:push("events", { k = "a", ts = 1000, what = "timer", at = 500 })
    assert.same({ "a@500" }, fired(t))
  end)

  it("may set another one, which fires in the same advance when it is due", function()
    local t = open(nil, function(_, time, out)
      out:emit({ key = out.key, time = time })
      if time < 500 then out:timer(time + 100) end
    end)
    t:push("events", { k = "a", ts = 0, what = "timer", at = 100 })
    t:advance_watermark(350)
    assert.same({ "a@100", "a@200", "a@300" }, fired(t))
    t:advance_watermark(1000)
    assert.same({ "a@100", "a@200", "a@300", "a@400", "a@500" }, fired(t))
  end)

  it("is there without a key too, and for a plain function by the option on_timer", function()
    local t = open({ unkeyed = true })
    t:push("events", { ts = 0, what = "timer", at = 100, name = "x" })
    t:advance_watermark(100)
    assert.same({ "nil@100:x" }, fired(t))
    local plain = sw.test(function()
      local job = sw.job("plain")
      job:source("events", sw.from.generator(nothing), { time = "ts" }):key_by("k")
        :apply("alarm", function(event, out, state)
          state.k = event.k
          out:timer(event.ts + 10)
        end, { on_timer = function(time, out, state, name)
          out:emit({ key = state.k, time = time, name = name })
        end }):to("results", sw.to.null())
      return job
    end)
    plain:push("events", { k = "p", ts = 5 })
    plain:advance_watermark(15)
    assert.same({ "p@15" }, fired(plain))
  end)

  it("fires in each instance for its own keys", function()
    local t = open({ parallelism = 3 })
    for k = 1, 30 do t:push("events", { k = k, ts = 0, what = "timer", at = 100 + k }) end
    t:advance_watermark(1000)
    local rows = t:results("results")
    table.sort(rows, function(a, b) return a.key < b.key end)
    assert.equal(30, #rows)
    for k, row in ipairs(rows) do assert.same({ k, 100 + k }, { row.key, row.time }) end
  end)

  it("that empties its key's state ends it", function()
    local t = open(nil, function(_, time, out, state)
      out:emit({ key = out.key, time = time })
      for name in pairs(state) do state[name] = nil end
    end)
    t:push("events", { k = "a", ts = 0, what = "timer", at = 100 })
    assert.same({ seen = 1 }, t:state("alarm", "a"))
    t:advance_watermark(100)
    assert.is_nil(t:state("alarm", "a"))
    assert.same({ "a@100" }, fired(t))
  end)

  it("emits before what the watermark lets the next component's timers see", function()
    local t = sw.test(function()
      local job = sw.job("two")
      local log = {
        apply = function(_, event, out)
          if event.n then out:timer(100) else out:emit({ got = event.from }) end
        end,
        on_timer = function(_, _, out) out:emit({ from = "timer" }) end,
      }
      local s = job:source("events", sw.from.generator(nothing), { time = "ts" })
      sw.union(s:apply("first", log), s):apply("second", log, { queue = 8 }):to("results", sw.to.null())
      return job
    end)
    t:push("events", { n = 1, ts = 0 })
    t:advance_watermark(100)
    assert.same({ { got = "timer" }, { from = "timer" } }, t:results("results"))
  end)

  for what, call in pairs({
    ["a time that is no number"] = function(out) out:timer("10s") end,
    ["a time that is NaN"] = function(out) out:timer(0 / 0) end,
    ["a name that is no text"] = function(out) out:timer(1, 5) end,
    ["a name over 255 bytes"] = function(out) out:timer(1, ("x"):rep(256)) end,
    ["a duration that is none"] = function(out) out:processing_timer("soon") end,
  }) do
    it("with " .. what .. " is an error of the component", function()
      local t = sw.test(function()
        local job = sw.job("wrong")
        job:source("events", sw.from.generator(nothing)):apply("alarm", {
          apply = function(_, _, out) call(out) end,
          on_timer = nothing,
        }):to("results", sw.to.null())
        return job
      end)
      t:push("events", { n = 1 })
      assert.equal(1, #t:dead_letters())
      assert.equal("alarm", t:dead_letters()[1].component)
      assert.is_truthy(t:dead_letters()[1].error:find("timers_spec.lua:%d+:"), t:dead_letters()[1].error)
    end)
  end
end)

describe("a processing-time timer", function()
  it("fires by the engine's clock, whatever the watermark", function()
    local t = open()
    t:push("events", { k = "a", ts = 0, what = "processing", after = "10s" })
    t:advance_watermark(1000000)
    t:advance("9999ms")
    assert.same({}, fired(t))
    t:advance("1ms")
    assert.same({ "a@10000" }, fired(t))
    assert.equal(10000, t:results("results")[1].now)
  end)

  it("is kept per key and name, and can be cancelled", function()
    local t = open()
    for _, k in ipairs({ "a", "b" }) do
      t:push("events", { k = k, ts = 0, what = "processing", after = "1s", name = "x" })
      t:push("events", { k = k, ts = 0, what = "processing", after = "2s" })
    end
    t:push("events", { k = "a", ts = 0, what = "cancel", name = "x" })
    t:push("events", { k = "b", ts = 0, what = "processing", after = "3s", name = "x" })
    t:advance("1m")
    assert.same({ "a@2000", "b@2000", "b@3000:x" }, fired(t))
  end)

  it("fires behind others in order, each at its own time", function()
    local t = open()
    for _, after in ipairs({ "3s", "1s", "2s" }) do
      t:push("events", { k = after, ts = 0, what = "processing", after = after })
    end
    t:advance("1m")
    local times = {}
    for i, row in ipairs(t:results("results")) do times[i] = row.now end
    assert.same({ 1000, 2000, 3000 }, times)
    assert.same({ "1s@1000", "2s@2000", "3s@3000" }, fired(t))
  end)
end)

describe("at the end of the input", function()
  it("event-time timers set so far fire once in time order; those set meanwhile are dropped and counted", function()
    local t = open(nil, function(_, time, out)
      out:emit({ key = out.key, time = time })
      out:timer(time + 1)
    end)
    for _, at in ipairs({ 300, 100, 200 }) do t:push("events", { k = "a", ts = 0, what = "timer", at = at }) end
    t:finish()
    assert.same({ "a@100", "a@200", "a@300" }, fired(t))
    assert.equal(3, t:counters("alarm").dropped)
  end)

  it("pending processing timers fire at once", function()
    local t = open()
    t:push("events", { k = "a", ts = 0, what = "processing", after = "1d" })
    t:finish()
    assert.same({ "a@86400000" }, fired(t))
    assert.equal(0, t:now())
  end)

  it("what timers emit passes through components and timers behind", function()
    local t = sw.test(function()
      local job = sw.job("chain")
      local late = {
        apply = function(_, event, out) out:timer(1000 + event.n) end,
        on_timer = function(_, time, out) out:emit({ n = time }) end,
      }
      job:source("events", sw.from.generator(nothing), { time = "ts" }):key_by("n"):apply("first", late)
        :key_by("n"):apply("second", late, { queue = 4 }):map("last", function(event) return event end)
        :to("results", sw.to.null())
      return job
    end)
    for n = 1, 3 do t:push("events", { n = n, ts = 0 }) end
    t:finish()
    assert.same({ { n = 2001 }, { n = 2002 }, { n = 2003 } }, t:results("results"))
  end)
end)
