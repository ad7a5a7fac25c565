local json = require("cjson")
local sw = require("swlua")
local support = require("spec.e2e.support")

-- Dozens of failing jobs in one Lua state are more than the compiler of Debian's LuaJIT bears (as in
-- spec/fixtures/crashing.lua). A program has one job: spec/e2e/ack_spec.lua runs it compiled.
jit.off()

local ACK = { delivery = "at-least-once", tracking = "ack" }

local function with(options)
  local all = {}
  for name, value in pairs(ACK) do all[name] = value end
  for name, value in pairs(options or {}) do all[name] = value end
  return all
end

--- A test of a job whose source is called "events"; build(stream, job) makes the rest.
local function open(build, options, source, seed)
  local t = sw.test(function()
    local job = sw.job("acks", with(options))
    build(job:source("events", source or sw.from.generator(function() return nil end)), job)
    return job
  end, { seed = seed })
  finally(function() pcall(t.close, t) end)
  return t
end

local function push(t, from, to)
  for n = from, to do t:push("events", { n = n }) end
end

local function numbers(list)
  local out = {}
  for i, row in ipairs(list) do out[i] = row.n end
  return out
end

local function sorted(list)
  table.sort(list)
  return list
end

--- An operator that keeps what it gets in `kept`, and the collector, until the test acknowledges it.
local function keeper(kept)
  return {
    manual_ack = true,
    apply = function(_, event, out)
      kept.out = out
      kept[#kept + 1] = event
    end,
  }
end

--- A source whose ack and fail are noted.
local function telling(told)
  return {
    get_events = function() return "done" end,
    ack = function(_, id) told[#told + 1] = "ack " .. id end,
    fail = function(_, id) told[#told + 1] = "fail " .. id end,
  }
end

local function assert_counters(expected, t)
  local counters = t:counters("events")
  for name, count in pairs(expected) do assert.equal(count, counters[name], name) end
end

describe("18: a source event", function()
  it("is pending until all its descendants are acknowledged; then the source's ack is called once", function()
    local told, kept = {}, {}
    local t = open(function(events)
      events:shuffle():flat_map("split", function(event, emit)
        for i = 1, event.n do emit({ n = i }) end
      end, { parallelism = 2 }):shuffle():apply("keep", keeper(kept)):to("out", sw.to.null())
    end, nil, telling(told))
    push(t, 3, 3)
    assert_counters({ out = 1, pending = 1, acked = 0, replayed = 0 }, t)
    for i = 1, 3 do
      assert.same({}, told)
      kept.out:ack(kept[i])
      t:advance(1)
    end
    assert.same({ "ack 1" }, told)
    assert_counters({ out = 1, pending = 0, acked = 1, replayed = 0 }, t)
    kept.out:ack(kept[3])
    t:advance("1m")
    assert.same({ "ack 1" }, told)
  end)

  it("is acknowledged at once where nothing leaves its task", function()
    local told = {}
    local t = open(function(events) events:map("same", function(e) return e end):to("out", sw.to.null()) end, nil,
      telling(told))
    push(t, 1, 3)
    t:advance(1)
    assert.same({ "ack 1", "ack 2", "ack 3" }, told)
  end)

  it("is acknowledged behind every grouping, fan-out and fan-in, and at parallelism", function()
    for seed = 1, 20 do
      local t = open(function(events)
        local a = events:broadcast():map("a", function(e) return e end, { parallelism = 3 })
        local b = events:key_by("n"):apply("b", function(e, out, state)
          state.n = (state.n or 0) + 1
          out:emit(e)
        end, { parallelism = 2 })
        local c = events:partition(function(e, n) return e.n % n end):filter("c", function(e) return e.n % 2 == 0 end,
          { parallelism = 2 })
        sw.union(a, b, c):global():flat_map("twice", function(e, emit)
          emit(e)
          emit({ n = e.n })
        end):key_by(function(e) return e.n end):apply("last", function(e, out) out:emit(e) end, { parallelism = 2 })
          :to("out", sw.to.null())
      end, { backpressure = { queue = 2 } }, nil, seed)
      push(t, 1, 20)
      assert_counters({ out = 20, pending = 0, acked = 20, replayed = 0 }, t)
      assert.equal(2 * (3 * 20 + 20 + 10), #t:results("out"))
    end
  end)

  it("of a named output is tracked like others, and emit returns its id", function()
    local ids, kept = {}, {}
    local source = { -- Emits by its own hand, which the test's replacement of sources would hide.
      setup_instance = function(self) self.n = 0 end,
      get_events = function(self, out)
        self.n = self.n + 1
        if self.n > 3 then return "wait" end
        ids[#ids + 1] = self.n == 2 and out:emit_to("other", { n = 2 }) or out:emit({ n = self.n })
      end,
    }
    local job = sw.job("ids", with())
    local events = job:source("events", source)
    sw.union(events, events:output("other")):shuffle():apply("keep", keeper(kept))
    local component = job._by_name.events
    component.kind = "operator" -- So that the source stays what it is.
    local t = sw.test(job)
    assert.same({ 1, 2, 3 }, ids)
    assert.same({ 1, 2, 3 }, sorted(numbers(kept)))
    t:advance("30s")
    assert.same({ 1, 1, 2, 2, 3, 3 }, sorted(numbers(kept)))
    t:close()
  end)
end)

describe("19: of three analyzers", function()
  local function analyzers(kept)
    return function(events)
      for _, name in ipairs({ "first", "second" }) do
        events:shuffle():apply(name, function(e, out) out:emit(e) end):to(name .. "-out", sw.to.null())
      end
      events:shuffle():apply("third", keeper(kept)):to("third-out", sw.to.null())
    end
  end

  it("one that withholds leaves the event pending", function()
    local kept = {}
    local t = open(analyzers(kept))
    push(t, 1, 1)
    t:advance("29s")
    assert.equal(1, #t:results("first-out"))
    assert.equal(1, #t:results("second-out"))
    assert_counters({ pending = 1, acked = 0, replayed = 0 }, t)
    kept.out:ack(kept[1])
    t:settle()
    t:advance("1m")
    assert_counters({ pending = 0, acked = 1, replayed = 0 }, t)
  end)

  it("the one that withholds may be fused with the source", function()
    local kept = {}
    local t = open(function(events)
      events:shuffle():map("first", function(e) return e end):to("first-out", sw.to.null())
      events:apply("keep", keeper(kept))
    end)
    push(t, 1, 1)
    assert_counters({ pending = 1, acked = 0 }, t)
    kept.out:ack(kept[1])
    t:advance(1)
    assert_counters({ pending = 0, acked = 1 }, t)
  end)
end)

describe("20: replaying", function()
  it("follows fail(event) at once", function()
    local told, tries = {}, 0
    local t = open(function(events)
      events:shuffle():apply("moody", {
        manual_ack = true,
        apply = function(_, event, out)
          tries = tries + 1
          if tries < 3 then return out:fail(event) end
          out:emit(event)
          out:ack(event)
        end,
      }):to("out", sw.to.null())
    end, nil, telling(told))
    push(t, 7, 7)
    assert.same({ 7 }, numbers(t:results("out")))
    assert.equal(0, t:now())
    assert_counters({ out = 3, replayed = 2, acked = 1, pending = 0 }, t)
    assert.same({ "fail 1", "fail 1", "ack 1" }, told)
  end)

  it("follows the timeout, by the engine's clock", function()
    local kept, told = {}, {}
    local t = open(function(events) events:shuffle():apply("keep", keeper(kept)) end, { ack_timeout = "5s" },
      telling(told))
    push(t, 1, 1)
    t:advance("4999ms")
    assert_counters({ replayed = 0, pending = 1 }, t)
    t:advance("1ms")
    assert_counters({ replayed = 1, pending = 1 }, t)
    assert.same({ 1, 1 }, numbers(kept))
    assert.same({ "fail 1" }, told)
    kept.out:ack(kept[1]) -- Of the earlier try: too late.
    t:advance(1)
    assert_counters({ pending = 1, acked = 0 }, t)
    kept.out:ack(kept[2])
    t:advance(1)
    assert_counters({ pending = 0, acked = 1, replayed = 1 }, t)
  end)

  it("gives the event as the source gave it, whatever functions have changed", function()
    local schemas = { false, sw.record({ n = "i64", text = "string" }) }
    for _, schema in ipairs(schemas) do
      local seen = {}
      local t = sw.test(function()
        local job = sw.job("changed", with())
        job:source("events", sw.from.generator(function() return nil end), { schema = schema or nil, time = "n" })
          :map("change", function(e)
            seen[#seen + 1] = e.text .. e.n
            e.n, e.text = e.n + 100, "changed"
            return e
          end, { schema = schema or nil })
          :shuffle():apply("moody", function() if #seen < 3 then error("not yet") end end)
        return job
      end)
      t:push("events", { n = 5, text = "was" })
      assert.same({ "was5", "was5", "was5" }, seen)
      assert_counters({ pending = 0, acked = 1, replayed = 2 }, t)
      t:close()
    end
  end)

  it("follows an error in user code under on_error = \"fail\"", function()
    local calls = 0
    local t = open(function(events)
      events:map("fragile", function(e)
        calls = calls + 1
        if calls % 2 == 1 then error("every other time") end
        return e
      end):to("out", sw.to.null())
    end)
    push(t, 1, 5)
    assert.same({ 1, 2, 3, 4, 5 }, sorted(numbers(t:results("out"))))
    assert_counters({ replayed = 5, acked = 5, pending = 0 }, t)
  end)

  it("ends with the job when errors go on for more than restart.attempts replays", function()
    local calls = 0
    local t = open(function(events)
      events:shuffle():map("broken", function()
        calls = calls + 1
        error("as always")
      end)
    end, { restart = { attempts = 4 } })
    local ok, problem = pcall(push, t, 1, 1)
    assert.is_false(ok)
    assert.matches("an event of events#0 was replayed 4 times %(restart.attempts%) and failed again", problem)
    assert.matches("broken#0.*as always", problem)
    assert.equal(5, calls)
  end)

  it("does not follow an error under \"skip\" and \"dead-letter\", which acknowledge the event", function()
    for _, policy in ipairs({ "skip", "dead-letter" }) do
      for _, is_manual in ipairs({ false, true }) do
        local t = open(function(events)
          events:shuffle():apply("broken", function() error("as always") end,
            { on_error = policy, manual_ack = is_manual })
        end)
        push(t, 1, 3)
        assert_counters({ acked = 3, replayed = 0, pending = 0 }, t)
        assert.equal(policy == "skip" and 0 or 3, #t:dead_letters())
        t:close()
      end
    end
  end)

  it("takes dead letters that the job reads for what the event is processed to", function()
    local kept = {}
    local t = open(function(events, job)
      events:shuffle():map("broken", function() error("as always") end, { on_error = "dead-letter" })
      job:dead_letters():apply("keep", keeper(kept))
    end)
    push(t, 1, 1)
    assert_counters({ acked = 0, pending = 1 }, t)
    kept.out:ack(kept[1])
    t:advance(1)
    assert_counters({ acked = 1, pending = 0 }, t)
  end)
end)

describe("21: an event that an operator filters out", function()
  it("is acknowledged: a filtering job drains to 0 pending with 0 replays", function()
    local t = open(function(events)
      events:filter("odd", function(e) return e.n % 2 == 1 end)
        :shuffle():filter("third", function(e) return e.n % 3 == 0 end, { parallelism = 2 })
        :shuffle():flat_map("none", function() end)
        :to("out", sw.to.null())
    end)
    push(t, 1, 100)
    t:advance("5m")
    assert_counters({ out = 100, acked = 100, pending = 0, replayed = 0 }, t)
    t:finish()
  end)
end)

describe("22: acknowledging", function()
  it("by hand is possible long after apply, and in any order", function()
    local kept, told = {}, {}
    local t = open(function(events) events:shuffle():apply("keep", keeper(kept)) end, nil, telling(told))
    push(t, 1, 3)
    for _, n in ipairs({ 2, 3, 1 }) do
      kept.out:ack(kept[n])
      t:advance(1)
    end
    assert.same({ "ack 2", "ack 3", "ack 1" }, told)
  end)

  --- Pairs events of one key; the pair descends from both.
  local function pairing(downstream, state_schema)
    return function(events)
      local first = {}
      events:key_by("k"):apply("pair", {
        manual_ack = true,
        state = state_schema,
        apply = function(_, event, out)
          local other = first[event.k]
          if not other then
            first[event.k] = event
            return
          end
          first[event.k] = nil
          out:emit({ n = other.n * 100 + event.n }, nil, { other, event })
          out:ack(other)
          out:ack(event)
        end,
      }, { parallelism = 2 }):shuffle():apply("next", downstream):to("out", sw.to.null())
    end
  end

  it("a row made of several events waits for all that is made of the row", function()
    local kept = {}
    local t = open(pairing(keeper(kept)))
    t:push("events", { k = 1, n = 1 })
    t:push("events", { k = 2, n = 2 })
    t:push("events", { k = 1, n = 3 })
    t:advance("1s")
    assert.same({ 103 }, numbers(kept))
    assert_counters({ pending = 3, acked = 0 }, t)
    kept.out:ack(kept[1])
    t:advance("1s")
    assert_counters({ pending = 1, acked = 2, replayed = 0 }, t)
  end)

  it("a row made of several events that fails has them all replayed", function()
    local calls = 0
    local t = open(pairing(function(event, out)
      calls = calls + 1
      if calls == 1 then error("once") end
      out:emit(event)
    end))
    t:push("events", { k = 1, n = 1 })
    t:push("events", { k = 1, n = 3 })
    assert_counters({ pending = 0, acked = 2, replayed = 2 }, t)
    assert.equal(1, #t:results("out"))
  end)

  it("holds records, too, beside a state record", function()
    local kept = {}
    local schema = sw.record({ k = "i64", n = "i64" })
    local t = sw.test(function()
      local job = sw.job("records", with())
      pairing(keeper(kept), sw.record({ seen = "i64" }))(job:source("events",
        sw.from.generator(function() return nil end), { schema = schema }))
      return job
    end)
    for n = 1, 4 do t:push("events", { k = n % 2, n = n }) end
    assert.same({ 103, 204 }, sorted(numbers(kept)))
    assert_counters({ pending = 4, acked = 0 }, t)
    for i = 1, 2 do kept.out:ack(kept[i]) end
    t:advance(1)
    assert_counters({ pending = 0, acked = 4 }, t)
    t:close()
  end)

  it("what a timer emits descends from the events it names, and from nothing else", function()
    local kept, held = {}, {}
    local t = open(function(events)
      events:key_by("k"):apply("hold", {
        manual_ack = true,
        apply = function(_, event, out)
          held[#held + 1] = event
          out:processing_timer("1s")
        end,
        on_timer = function(_, _, out)
          out:emit({ n = 1 })
          out:emit_to("sums", { n = #held }, nil, held)
          for _, event in ipairs(held) do out:ack(event) end
        end,
      }):output("sums"):shuffle():apply("keep", keeper(kept))
    end)
    for n = 1, 3 do t:push("events", { k = 1, n = n }) end
    t:advance("2s")
    assert.same({ 3 }, numbers(kept))
    assert_counters({ pending = 3, acked = 0 }, t)
    kept.out:ack(kept[1])
    t:advance(1)
    assert_counters({ pending = 0, acked = 3, replayed = 0 }, t)
  end)

  it("goes by the held event: emitting behind its ack in the same call is still in time", function()
    local kept = {}
    local t = open(function(events)
      events:shuffle():apply("hasty", {
        manual_ack = true,
        apply = function(_, event, out)
          out:ack(event)
          out:emit(event)
        end,
      }):shuffle():apply("keep", keeper(kept))
    end)
    push(t, 1, 1)
    assert_counters({ pending = 1, acked = 0 }, t)
    kept.out:ack(kept[1])
    t:advance(1)
    assert_counters({ pending = 0, acked = 1 }, t)
  end)

  it("by hand has no effect where events are not acknowledged, and is refused where it is automatic", function()
    local job = sw.job("plain")
    job:source("events", sw.from.generator(function() return nil end)):apply("hold", {
      manual_ack = true,
      apply = function(_, event, out)
        out:emit(event, nil, { event })
        out:fail(event)
        out:ack(event)
      end,
    }):to("out", sw.to.null())
    local t = sw.test(job)
    push(t, 1, 2)
    assert.same({ 1, 2 }, numbers(t:results("out")))
    assert_counters({ pending = 0, acked = 0, replayed = 0 }, t)
    t:close()
    t = open(function(events)
      events:apply("automatic", function(event, out) out:ack(event) end, { on_error = "dead-letter" })
    end)
    push(t, 1, 1)
    assert.matches("ack: the operator needs manual_ack = true", t:dead_letters()[1].error)
  end)
end)

describe("the end of the input", function()
  it("waits until nothing is pending", function()
    local t = open(function(events)
      events:shuffle():apply("late", {
        manual_ack = true,
        setup_instance = function(self) self.held = {} end,
        apply = function(self, event, out)
          self.held[#self.held + 1] = event
          out:processing_timer("10s")
        end,
        on_timer = function(self, _, out)
          for _, event in ipairs(self.held) do
            out:emit(event, nil, { event })
            out:ack(event)
          end
          self.held = {}
        end,
      }):to("out", sw.to.null())
    end)
    push(t, 1, 3)
    t:finish()
    assert.same({ 1, 2, 3 }, numbers(t:results("out")))
    assert.equal(10000, t:now())
    assert_counters({ pending = 0, acked = 3, replayed = 0 }, t)
  end)

  it("lets event time pass first, so that what is held for a timer is acknowledged", function()
    local fired = 0
    local t = open(function(events)
      events:shuffle():event_time("timed", "n"):shuffle():apply("hold", {
        manual_ack = true,
        setup_instance = function(self) self.held = {} end,
        apply = function(self, event, out)
          self.held[#self.held + 1] = event
          out:timer(event.n + 1000)
        end,
        on_timer = function(self, time, out)
          fired = fired + 1
          local event = table.remove(self.held, 1)
          if event then out:ack(event) end
          out:timer(time + 1000)
        end,
      })
    end)
    push(t, 1, 3)
    t:finish()
    assert.equal(0, t:now())
    assert.equal(3, fired)
    assert.equal(3, t:counters("hold").dropped)
    assert_counters({ pending = 0, acked = 3, replayed = 0 }, t)
  end)

  it("names the source whose events stay pending, in a test", function()
    local t = open(function(events) events:shuffle():apply("keep", keeper({})) end)
    push(t, 1, 2)
    assert.error_matches(function() t:finish() end, "2 events of events stay pending")
  end)
end)

describe("a checkpoint beside acknowledging", function()
  it("has the position of the oldest pending event", function()
    local kept = {}
    local t = open(function(events)
      events:shuffle():apply("keep", {
        manual_ack = true,
        apply = function(_, event, out)
          kept.out = out
          kept[#kept + 1] = event
          if event.n % 2 == 1 then out:ack(event) end
        end,
      })
    end)
    push(t, 1, 5)
    assert_counters({ pending = 2, acked = 3 }, t)
    t:checkpoint()
    t:crash()
    t:restore()
    assert.same({ 1, 2, 3, 4, 5, 2, 3, 4, 5 }, numbers(kept))
    kept.out:ack(kept[6])
    kept.out:ack(kept[8])
    t:advance(1)
    assert_counters({ pending = 0 }, t)
    t:checkpoint()
    t:crash()
    t:restore()
    assert.equal(9, #kept)
  end)

  it("is taken only where the job asks for it", function()
    local function is_on(options)
      return sw.job("checkpoints", options).settings.checkpoint.enabled
    end
    assert.is_false(is_on(ACK))
    assert.is_true(is_on(with({ checkpoint = { interval = "1s" } })))
    assert.is_true(is_on({ delivery = "at-least-once" }))
  end)
end)

describe("a full pending set", function()
  it("stops the source, and what holds it is reported by name", function()
    local dir = support.folder()
    finally(function() dir:remove() end)
    dir:write("full.lua", [[
local sw = require "swlua"
local job = sw.job("full", { delivery = "at-least-once", tracking = "ack" })
local most, now, held = 0, 0, {}
job:source("events", sw.from.generator(function(i) return { n = i } end, { count = 70000 }))
  :shuffle():apply("hold", {
    manual_ack = true,
    apply = function(self, event, out)
      now = now + 1
      if now > most then most = now end
      held[#held + 1] = event
      out:processing_timer("5s", "release")
    end,
    on_timer = function(self, time, out)
      for _, event in ipairs(held) do out:ack(event) end
      held, now = {}, 0
    end,
    close = function() sw.log("held at most " .. most) end,
  })
return job
]])
    local run = dir:swlua("full.lua --sim --report report.json")
    assert.equal(0, run.status)
    assert.matches("held at most 65536\n", run.err)
    assert.matches("events#0 waits until some of its 65536 pending events are acknowledged, more are not possible",
      run.err)
    assert.matches("events are held by hold#0", run.err)
    assert.matches('"acked":70000', dir:read("report.json"))
  end)
end)

describe("over threads", function()
  --- Runs a job of 20,000 events over two workers.
  local function run(body, options)
    local dir = support.folder()
    finally(function() dir:remove() end)
    local lines = {}
    for i = 1, 20000 do lines[i] = ('{"n":%d,"word":"w%d"}'):format(i, i % 100) end
    dir:write("in.jsonl", table.concat(lines, "\n") .. "\n")
    dir:write("job.lua", ([[
local sw = require "swlua"
local job = sw.job("threads", { delivery = "at-least-once", tracking = "ack", restart = { attempts = 50 }%s })
local function one_in(n)
  local seed = 1
  return function()
    seed = (seed * 16807) %% 2147483647
    return seed %% n == 0
  end
end
%s
return job
]]):format(options or "", body))
    local result = dir:swlua("job.lua --workers 2 --log-level error --report report.json")
    result.report = json.decode(dir:read("report.json"))
    result.dir = dir
    return result
  end

  local function numbers_in(result, name)
    local seen, count = {}, 0
    for n in result.dir:read(name):gmatch('"n":(%d+)') do
      if not seen[n] then count = count + 1 end
      seen[n] = true
    end
    return count
  end

  for shape, schema in pairs({ tables = "nil", records = 'sw.record{ n = "i64", word = "string" }' }) do
    it("tables and records reach every analyzer though calls fail: " .. shape, function()
      local result = run(([[
local schema = %s
local events = job:source("events", sw.from.file("in.jsonl"), { schema = schema })
local a, b, c = one_in(100), one_in(100), one_in(50)
events:shuffle():filter("odd", function(e)
  if a() then error("now and then") end
  return e.n %% 2 == 1
end, { parallelism = 2 }):to("odd-out", sw.to.file("odd.jsonl"))
events:key_by("word"):apply("all", function(e, out, state)
  state.n = (state.n or 0) + 1
  if b() then error("now and then") end
  out:emit(e)
end, { parallelism = 2, schema = schema }):broadcast():map("same", function(e) return e end, { schema = schema })
  :to("all-out", sw.to.file("all.jsonl"))
events:map("fused", function(e)
  if c() then error("now and then") end
  return { n = e.n }
end):to("fused-out", sw.to.file("fused.jsonl"))
]]):format(schema))
      assert.equal(0, result.status, result.err)
      local source = result.report.components.events
      assert.same({ 20000, 20000, true }, { source.out - source.replayed, source.acked, source.replayed > 500 })
      assert.equal(10000, numbers_in(result, "odd.jsonl"))
      assert.equal(20000, numbers_in(result, "all.jsonl"))
      assert.equal(20000, numbers_in(result, "fused.jsonl"))
    end)
  end

  it("an event that cannot be written is replayed, and not taken for one of those it is written with", function()
    local result = run([[
local c = one_in(50)
job:source("events", sw.from.file("in.jsonl")):map("ratio", function(e) return { n = e.n, r = c() and 0 / 0 or 1 } end)
  :to("out", sw.to.file("out.jsonl"))
]])
    assert.equal(0, result.status, result.err)
    local source = result.report.components.events
    assert.same({ 20000, 20000, true }, { source.out - source.replayed, source.acked, source.replayed > 100 })
    assert.equal(20000, numbers_in(result, "out.jsonl"))
    assert.equal(20000, result.report.components.out["in"] - source.replayed)
  end)

  it("an event whose key cannot be one is replayed, and set aside where the component says so", function()
    for _, policy in ipairs({ "fail", "dead-letter" }) do
      local result = run(([[
local c = one_in(50)
job:source("events", sw.from.file("in.jsonl"))
  :map("keyed", function(e) return { n = e.n, k = c() and 0 / 0 or e.n } end, { on_error = %q })
  :key_by("k"):apply("out", function(e, out) out:emit({ n = e.n }) end, { parallelism = 2 })
  :to("file", sw.to.file("out.jsonl"))
]]):format(policy))
      assert.equal(0, result.status, result.err)
      local source = result.report.components.events
      assert.equal(20000, source.acked)
      local lost = result.report.components.keyed.dead_letters
      assert.same({ policy == "fail", policy == "dead-letter" }, { source.replayed > 100, lost > 100 })
      assert.equal(20000 - lost, numbers_in(result, "out.jsonl"))
    end
  end)
end)

describe("a stop", function()
  it("waits until nothing is pending", function()
    local dir = support.folder()
    finally(function() dir:remove() end)
    dir:write("endless.lua", [[
local sw = require "swlua"
local job = sw.job("endless", { delivery = "at-least-once", tracking = "ack" })
job:source("events", sw.from.generator(function(i) return { n = i } end))
  :shuffle():apply("slow", {
    manual_ack = true,
    setup_instance = function(self) self.held = {} end,
    apply = function(self, event, out)
      self.held[#self.held + 1] = event
      out:processing_timer("1ms", "release")
    end,
    on_timer = function(self, time, out)
      for _, event in ipairs(self.held) do
        out:emit(event, nil, { event })
        out:ack(event)
      end
      self.held = {}
    end,
  }, { parallelism = 2 }):to("out", sw.to.stdout())
return job
]])
    local result = dir:shell([[
$swlua endless.lua --workers 2 --report report.json --log-level error > rows &
until [ -s rows ]; do :; done
kill -INT $!
wait $!]])
    assert.equal(0, result.status, result.err)
    local source = json.decode(dir:read("report.json")).components.events
    assert.is_true(source.acked > 0)
    assert.equal(source.out, source.acked + source.replayed)
    local _, rows = dir:read("rows"):gsub("\n", "")
    assert.equal(source.out, rows)
  end)
end)

describe("any schedule", function()
  it("has every event processed though a tenth of the calls fail", function()
    for seed = 1, 30 do
      local seen = {}
      local t = open(function(events)
        local function fragile(event, out)
          if math.random() < 0.1 then error("one of ten") end
          out:emit(event)
        end
        local left = events:shuffle():apply("left", fragile, { parallelism = 2 })
        local right = events:key_by("n"):apply("right", fragile, { parallelism = 3 })
        sw.union(left, right):key_by("n"):apply("join", function(event, out, state)
          state.n = (state.n or 0) + 1
          fragile(event, out)
          seen[event.n] = (seen[event.n] or 0) + 1
        end, { parallelism = 2 }):to("out", sw.to.null())
      end, { restart = { attempts = 100 }, backpressure = { queue = 3 } }, nil, seed)
      push(t, 1, 60)
      t:finish()
      for n = 1, 60 do assert.is_true(seen[n] >= 2) end
      local counters = t:counters("events")
      assert.same({ 60, 60, 0 }, { counters.out - counters.replayed, counters.acked, counters.pending })
      assert.is_true(counters.replayed > 0)
      t:close()
    end
  end)
end)
