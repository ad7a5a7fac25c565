local json = require("cjson")
local support = require("spec.e2e.support")
local sw = require("swlua")

local function nothing() end

--- Opens a fused chain before -> middle -> after beside a sibling; `fails(event)` is called by the middle one.
local function chain(fails, job_options, options)
  return sw.test(function()
    local job = sw.job("chain", job_options)
    local s = job:source("events", sw.from.generator(nothing)):map("before", function(event) return event end)
    s:map("middle", function(event)
      fails(event)
      return event
    end, options):map("after", function(event) return event end):to("results", sw.to.null())
    s:map("sibling", function(event) return event end):to("siblings", sw.to.null())
    return job
  end)
end

local function counts(t, component)
  local c = t:counters(component)
  return { c["in"], c.out, c.errors, c.dead_letters }
end

local function raise_every(n)
  return function(event)
    if event.n % n == 0 then error("bad event " .. event.n) end
  end
end

describe("on_error in the middle of a fused chain", function()
  for _, case in ipairs({ { percent = 1, every = 100, count = 1000, failed = 10 },
    { percent = 100, every = 1, count = 200, failed = 200 } }) do
    it(("skip: counts are exact with %d %% failing, upstream and siblings undisturbed"):format(case.percent), function()
      local t = chain(raise_every(case.every), { on_error = "skip" })
      for n = 1, case.count do t:push("events", { n = n }) end
      local good = case.count - case.failed
      assert.same({ case.count, case.count, 0, 0 }, counts(t, "before"))
      assert.same({ case.count, good, case.failed, 0 }, counts(t, "middle"))
      assert.same({ good, good, 0, 0 }, counts(t, "after"))
      assert.same({ case.count, case.count, 0, 0 }, counts(t, "sibling"))
      assert.same({ good, case.count }, { #t:results("results"), #t:results("siblings") })
      assert.same({}, t:dead_letters())
    end)

    it(("dead-letter: counts are exact with %d %% failing, the component at fault is named"):format(case.percent),
      function()
        local t = chain(raise_every(case.every), { on_error = "dead-letter" })
        for n = 1, case.count do t:push("events", { n = n }) end
        assert.same({ case.count, case.count, 0, 0 }, counts(t, "before"))
        assert.same({ case.count, case.count - case.failed, case.failed, case.failed }, counts(t, "middle"))
        assert.equal(case.count, #t:results("siblings"))
        assert.equal(case.failed, #t:dead_letters())
        for i, letter in ipairs(t:dead_letters()) do
          assert.same({ "middle", 0, { n = i * case.every } }, { letter.component, letter.instance, letter.event })
        end
      end)
  end

  it("fail: the job fails at the first error, and names component, script and line", function()
    local t = chain(raise_every(3), { on_error = "fail" })
    t:push("events", { n = 1 })
    local ok, problem = pcall(t.push, t, "events", { n = 3 })
    assert.is_false(ok)
    assert.is_truthy(problem:find("^chain/middle#0: [^\n]*errors_spec.lua:%d+: bad event 3"), problem)
  end)

  it("an own option goes before the job's", function()
    local t = chain(raise_every(1), { on_error = "fail" }, { on_error = "skip" })
    t:push("events", { n = 1 })
    assert.same({ 1, 0, 1, 0 }, counts(t, "middle"))
  end)

  it("counts are exact across threads too", function()
    local dir = support.folder()
    finally(function() dir:remove() end)
    dir:write("job.lua", [[
local sw = require "swlua"
local job = sw.job("threads", { parallelism = 2, on_error = sw.args.policy })
local function same(event) return event end
job:source("events", sw.from.generator(function(i) return { n = i } end, { count = 20000 })):key_by("n")
  :map("before", same):map("middle", function(event)
    if event.n % sw.args.every == 0 then error("bad event") end
    return event
  end):map("after", same):to("results", sw.to.file("out-{instance}.jsonl"))
job:dead_letters():to("letters", sw.to.file("letters.jsonl"))
return job
]])
    for _, case in ipairs({ { "skip", 100, 200, 0 }, { "dead-letter", 100, 200, 200 },
      { "dead-letter", 1, 20000, 20000 }, { "skip", 1, 20000, 0 } }) do
      local policy, every, failed, letters = unpack(case)
      local arguments = "job.lua --workers 2 --report report.json --set policy=%s --set every=%d"
      local result = dir:swlua(arguments:format(policy, every))
      assert.equal(0, result.status, result.err)
      local components = json.decode(dir:read("report.json")).components
      assert.same({ 20000, 20000 - failed, failed, letters }, { components.middle["in"], components.middle.out,
        components.middle.errors, components.middle.dead_letters })
      assert.equal(0, components.before.errors)
      assert.equal(20000, components.before.out)
      assert.equal(20000 - failed, components.results["in"])
      assert.equal(letters, components.letters["in"])
      local _, lines = dir:read("letters.jsonl"):gsub("\n", "")
      assert.equal(letters, lines)
    end
  end)
end)

describe("an error", function()
  local function letter_of(raise)
    local t = chain(raise)
    t:push("events", { n = 1 })
    local letters = t:dead_letters()
    assert.equal(1, #letters)
    assert.equal("middle", letters[1].component)
    return letters[1], t
  end

  it("carries component, instance, error, traceback, event and time", function()
    local t = chain(raise_every(1))
    t:push("events", { n = 1, nested = { a = 1 } }, 5000)
    local letter = t:dead_letters()[1]
    assert.same({ n = 1, nested = { a = 1 } }, letter.event)
    assert.same({ "middle", 0, 5000 }, { letter.component, letter.instance, letter.time })
    assert.is_truthy(letter.error:find("errors_spec.lua:%d+: bad event 1$"))
    assert.is_truthy(letter.traceback:find("stack traceback", 1, true))
    assert.is_nil(letter.traceback:find("swlua/internal", 1, true))
  end)

  it("names script and line, also through closures", function()
    local function inner() local missing = nil; return missing.field end
    local function outer() return (inner()) end
    local line = debug.getinfo(inner, "S").linedefined
    local letter = letter_of(function() outer() end)
    assert.is_truthy(letter.error:find(("errors_spec.lua:%d: "):format(line), 1, true), letter.error)
    assert.is_truthy(letter.traceback:find(("errors_spec.lua:%d: in function"):format(line + 1), 1, true),
      letter.traceback)
  end)

  it("without a position of its own names where the function stands", function()
    local letter = letter_of(function() error("plain", 0) end)
    assert.is_truthy(letter.error:find("errors_spec.lua:%d+: plain$"), letter.error)
  end)

  it("of a source in Lua names where its get_events stands, and the source goes on", function()
    local dir = support.folder()
    finally(function() dir:remove() end)
    dir:write("job.lua", [[
local sw = require "swlua"
local job = sw.job("source")
job:source("mine", {
  setup_instance = function(self) self.n = 0 end,
  get_events = function(self, out)
    self.n = self.n + 1
    if self.n == 2 then error("no second", 0) end
    if self.n == 4 then return "done" end
    out:emit({ n = self.n })
  end,
}):to("results", sw.to.file("results.jsonl"))
return job
]])
    local result = dir:swlua("job.lua")
    assert.equal(0, result.status)
    assert.is_truthy(result.err:find("source/mine#0: job.lua:5: no second", 1, true), result.err)
    assert.equal('{"n":1}\n{"n":3}\n', dir:read("results.jsonl"))
  end)

  it("may be any value: nil, a table, a cyclic one, one whose text fails, a huge text", function()
    local cyclic = { a = 1 }
    cyclic.self = cyclic
    local evil = setmetatable({}, { __tostring = function() error("no text") end })
    for _, value in ipairs({ false, 42, {}, cyclic, evil, nothing, coroutine.create(nothing), 1LL }) do
      local letter, t = letter_of(function() error(value, 0) end)
      assert.is_string(letter.error)
      assert.is_truthy(letter.error:find(type(value), 1, true), letter.error)
      assert.same({ 1, 0, 1, 1 }, counts(t, "middle"))
    end
    assert.is_truthy(letter_of(function() error() end).error:find("nil", 1, true))
    assert.is_true(#letter_of(function() error(("x"):rep(10000000)) end).error < 100000)
    assert.is_truthy(letter_of(function() local function deep() return 1 + deep() end deep() end).error
      :find("stack overflow", 1, true))
  end)

  it("keeps what the failing call had emitted", function()
    local t = sw.test(function()
      local job = sw.job("partial")
      job:source("events", sw.from.generator(nothing)):flat_map("half", function(event, emit)
        emit({ n = event.n })
        error("after the first")
      end):to("results", sw.to.null())
      return job
    end)
    t:push("events", { n = 1 })
    assert.same({ { n = 1 } }, t:results("results"))
    assert.same({ 1, 1, 1, 1 }, counts(t, "half"))
  end)

  it("downstream is not seen by a pcall around emit", function()
    local seen
    local t = sw.test(function()
      local job = sw.job("upstream")
      job:source("events", sw.from.generator(nothing)):flat_map("emitter", function(event, emit)
        seen = pcall(emit, event)
      end):map("failing", function() error("downstream") end):to("results", sw.to.null())
      return job
    end)
    t:push("events", { n = 1 })
    assert.is_true(seen)
    assert.same({ 1, 1, 0, 0 }, counts(t, "emitter"))
    assert.same({ 1, 0, 1, 1 }, counts(t, "failing"))
  end)

  it("is a map that returns nil, and an emit of what is no table", function()
    for _, value in ipairs({ false, 42, "text" }) do
      local t = sw.test(function()
        local job = sw.job("shapes")
        local s = job:source("events", sw.from.generator(nothing))
        s:map("map", function() return value or nil end):to("a", sw.to.null())
        s:flat_map("flat", function(_, emit) emit(value or nil) end):to("b", sw.to.null())
        s:apply("apply", function(_, out) out:emit_to("side", value or nil) end):output("side"):to("c", sw.to.null())
        return job
      end)
      t:push("events", { n = 1 })
      local at_fault = {}
      for i, letter in ipairs(t:dead_letters()) do
        at_fault[i] = letter.component
        assert.is_truthy(letter.error:find("an event is a table", 1, true))
      end
      table.sort(at_fault)
      assert.same({ "apply", "flat", "map" }, at_fault)
    end
  end)

  it("in filter, key and partition functions, sinks, timers and close is told of the component", function()
    local t = sw.test(function()
      local job = sw.job("places")
      local s = job:source("events", sw.from.generator(nothing), { time = "ts" })
      s:filter("filter", function() error("in filter") end):to("a", sw.to.null())
      s:map("keyed", function(event) return event end):key_by(function() error("in key") end)
        :map("behind key", function(event) return event end, { parallelism = 2 }):to("b", sw.to.null())
      s:apply("timers", {
        apply = function(_, _, out) out:timer(10) end,
        on_timer = function() error("in on_timer") end,
        close = function() error("in close") end,
      }):to("c", sw.to.null())
      return job
    end)
    t:push("events", { ts = 1 })
    t:advance_watermark(20)
    t:finish()
    local told = {}
    for i, letter in ipairs(t:dead_letters()) do told[i] = letter.component .. ": " .. letter.error:match("in .*") end
    table.sort(told)
    assert.same({ "filter: in filter", "keyed: in key", "timers: in close", "timers: in on_timer" }, told)
  end)

  it("in a field that emit's schema lacks, or of a type it does not have, names field and component", function()
    for _, case in ipairs({ { { n = 1, other = 2 }, "field 'other'" }, { { n = "text" }, "field 'n'" },
      { { n = 1.5 }, "field 'n'" } }) do
      local t = sw.test(function()
        local job = sw.job("schema")
        job:source("events", sw.from.generator(nothing)):map("writes", function() return sw.copy(case[1]) end,
          { schema = sw.record { n = "i64" } }):to("results", sw.to.null())
        return job
      end)
      t:push("events", { n = 1 })
      assert.same({}, t:results("results"))
      local letter = t:dead_letters()[1]
      assert.equal("writes", letter.component)
      assert.is_truthy(letter.error:find(case[2], 1, true), letter.error)
    end
  end)

  it("of an event changed after it was emitted is found in tests", function()
    local t = sw.test(function()
      local job = sw.job("changed")
      job:source("events", sw.from.generator(nothing)):flat_map("changer", function(event, emit)
        emit(event)
        event.n = event.n + 1
      end):to("results", sw.to.null())
      return job
    end)
    t:push("events", { n = 1 })
    assert.same({ { n = 1 } }, t:results("results"))
    assert.is_truthy(t:dead_letters()[1].error:find("changed after it was emitted", 1, true))
  end)
end)

describe("components behind dead_letters()", function()
  it("get the letters of all components, and skip when they fail themselves", function()
    local t = sw.test(function()
      local job = sw.job("letters", { on_error = "dead-letter" })
      local s = job:source("events", sw.from.generator(nothing))
      s:map("first", function() error("first fails") end):to("a", sw.to.null())
      s:key_by("n"):map("second", function() error("second fails") end, { parallelism = 2 }):to("b", sw.to.null())
      job:dead_letters():map("reader", function(letter)
        if letter.component == "second" then error("reader fails") end
        return { component = letter.component, n = letter.event.n }
      end):to("read", sw.to.null())
      return job
    end)
    for n = 1, 3 do t:push("events", { n = n }) end
    assert.same({ { component = "first", n = 1 }, { component = "first", n = 2 }, { component = "first", n = 3 } },
      t:results("read"))
    assert.same({ 6, 3, 3, 0 }, counts(t, "reader"))
    assert.same({}, t:dead_letters())
  end)

  it("unread, letters are appended to dead-letters.jsonl in the state directory", function()
    local dir = support.folder()
    finally(function() dir:remove() end)
    dir:write("job.lua", [[
local sw = require "swlua"
local job = sw.job("unread")
job:source("events", sw.from.generator(function(i) return { n = i } end, { count = 3 }))
  :map("fails", function(event) error("no " .. event.n) end):to("results", sw.to.null())
return job
]])
    for _ = 1, 2 do assert.equal(0, dir:swlua("job.lua --state kept").status) end
    local letters = {}
    for line in dir:read("kept/dead-letters.jsonl"):gmatch("[^\n]+") do letters[#letters + 1] = json.decode(line) end
    assert.equal(6, #letters)
    assert.equal("job.lua:4: no 1", letters[1].error)
    assert.same({ "fails", 0, { n = 1 } }, { letters[1].component, letters[1].instance, letters[1].event })
  end)
end)
