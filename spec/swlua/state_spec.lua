local support = require("spec.e2e.support")
local sw = require("swlua")

local function nothing() end

--- Opens a job with one keyed operator; `options` are its own.
local function open(apply, options, job_options, source_options)
  return sw.test(function()
    local job = sw.job("state", job_options)
    job:source("events", sw.from.generator(nothing), source_options):key_by("k"):apply("keeper", apply, options)
      :to("results", sw.to.null())
    return job
  end)
end

local COUNTER_STATE = sw.record { n = "i64", sum = "f64", last = "string", ok = "bool", at = "time" }

local function count(event, out, state)
  state.n = (state.n or 0) + 1
  state.sum = (state.sum or 0) + (event.v or 0)
  state.last = event.s
  out:emit({ k = event.k, n = state.n, sum = state.sum, last = state.last })
end

for shape, options in pairs({ ["a state table"] = {}, ["a state record"] = { state = COUNTER_STATE } }) do
  describe(shape, function()
    it("starts empty and is kept per key", function()
      local t = open(count, options)
      for _, k in ipairs({ "a", "b", "a", "a" }) do t:push("events", { k = k, v = 0.5, s = k .. "!" }) end
      assert.same({ n = 3, sum = 1.5, last = "a!" }, t:state("keeper", "a"))
      assert.same({ n = 1, sum = 0.5, last = "b!" }, t:state("keeper", "b"))
      assert.is_nil(t:state("keeper", "c"))
    end)

    it("is kept for keys of every kind: nil, booleans, numbers, strings, 64-bit integers, several fields", function()
      local t = open(count, options)
      local keys = { false, true, 0, -1, 0.5, 1e300, math.huge, "", "0", "a\0b", 9007199254740993LL,
        18446744073709551615ULL }
      for i = 1, 2 do
        for _, key in ipairs(keys) do t:push("events", { k = key, v = i }) end
        t:push("events", { v = i })
      end
      assert.equal(2 * (#keys + 1), #t:results("results"))
      for _, row in ipairs({ unpack(t:results("results"), #keys + 2) }) do assert.equal(2, row.n) end
      assert.same({}, t:dead_letters())
    end)

    it("has 1, 1.0 and int64 1 as one key, and 0 and -0", function()
      local t = open(count, options)
      for _, key in ipairs({ 1, 1LL, 1ULL, 0, -0.0, 0LL }) do t:push("events", { k = key }) end
      assert.equal(3, t:state("keeper", 1).n)
      assert.equal(3, t:state("keeper", 0).n)
    end)

    it("has no key that is NaN or a table: an error of that event", function()
      local t = open(count, options)
      for _, key in ipairs({ 0 / 0, { 1 } }) do t:push("events", { k = key }) end
      assert.equal(2, #t:dead_letters())
      assert.is_truthy(t:dead_letters()[1].error:find("field 'k' cannot be a key: it is NaN", 1, true))
      assert.is_truthy(t:dead_letters()[2].error:find("field 'k' cannot be a key", 1, true))
      assert.equal(0, #t:results("results"))
    end)

    it("goes when it is emptied, and starts anew", function()
      local t = open(function(event, out, state)
        if event.clear then
          for name in pairs({ n = 1, sum = 1, last = 1 }) do state[name] = nil end
        else
          count(event, out, state)
        end
      end, options)
      t:push("events", { k = "a", v = 1, s = "x" })
      t:push("events", { k = "b", v = 1, s = "x" })
      t:push("events", { k = "a", clear = true })
      assert.is_nil(t:state("keeper", "a"))
      assert.equal(1, t:state("keeper", "b").n)
      t:push("events", { k = "a", v = 2, s = "y" })
      assert.same({ n = 1, sum = 2, last = "y" }, t:state("keeper", "a"))
    end)

    it("goes when its ttl has passed since its key's last change, in event time", function()
      local t = open(count, { state = options.state, ttl = "10s" }, nil, { time = "ts" })
      t:push("events", { k = "a", ts = 1000 })
      t:push("events", { k = "a", ts = 10000 })
      t:push("events", { k = "a", ts = 19999 })
      assert.equal(3, t:state("keeper", "a").n)
      t:push("events", { k = "b", ts = 29998 })
      assert.equal(3, t:state("keeper", "a").n)
      t:push("events", { k = "a", ts = 29999 })
      assert.equal(1, t:state("keeper", "a").n)
      t:advance_watermark(50000)
      assert.is_nil(t:state("keeper", "a"))
      assert.is_nil(t:state("keeper", "b"))
    end)

    it("keeps what a failing call had changed", function()
      local t = open(function(event, out, state)
        count(event, out, state)
        if event.fail then error("too late") end
      end, options)
      t:push("events", { k = "a", v = 1, s = "x" })
      t:push("events", { k = "a", v = 1, s = "x", fail = true })
      assert.equal(2, t:state("keeper", "a").n)
      assert.equal(1, #t:dead_letters())
    end)

    it("is the same behind a channel, in every instance its own keys'", function()
      local t = open(count, { state = options.state, parallelism = 3 })
      for i = 1, 60 do t:push("events", { k = i % 10, v = 1, s = "s" .. i }) end
      for k = 0, 9 do assert.equal(6, t:state("keeper", k).n) end
      assert.equal("s60", t:state("keeper", 0).last)
    end)

    it("keeps the values of 70,000 keys, which is more than are live", function()
      local t = sw.test(function()
        local job = sw.job("many")
        job:source("events", sw.from.generator(nothing)):flat_map("keys", function(event, emit)
          for k = event.from, event.to do emit({ k = k, v = k, s = "key " .. k }) end
        end):key_by("k"):apply("keeper", function(event, out, state)
          local n = (state.n or 0) + 1
          state.n, state.sum, state.last = n, (state.sum or 0) + event.v, event.s
          if n == 2 and (state.sum ~= 2 * event.k or state.last ~= "key " .. event.k) then error("lost " .. event.k) end
          if n == 2 then out:emit_to("twice", event) end
        end, options):to("results", sw.to.null())
        return job
      end)
      t:push("events", { from = 1, to = 70000 })
      t:push("events", { from = 1, to = 70000 })
      assert.same({}, t:dead_letters())
      assert.equal(70000, t:counters("keeper").unread)
      for _, k in ipairs({ 1, 4464, 4465, 65536, 65537, 70000 }) do
        assert.same({ n = 2, sum = 2 * k, last = "key " .. k }, t:state("keeper", k))
      end
    end)
  end)
end

describe("a state table that cannot be saved", function()
  it("is told of when it is to make room, outside tests; other keys' are kept", function()
    local dir = support.folder()
    finally(function() dir:remove() end)
    dir:write("job.lua", [[
local sw = require "swlua"
local job = sw.job("room")
local passes = sw.from.generator(function(i) return { k = (i - 1) % 70000 } end, { count = 140000 })
job:source("events", passes):key_by("k"):apply("keeper", function(event, out, state)
  state.n = (state.n or 0) + 1
  if event.k == 7 then state.deep = { fn = print } end
  if state.n == 2 then out:emit({ k = event.k }) end
end):to("twice", sw.to.file("twice.jsonl"))
job:dead_letters():to("letters", sw.to.file("letters.jsonl"))
return job
]])
    local result = dir:swlua("job.lua")
    assert.equal(0, result.status, result.err)
    local _, lines = dir:read("twice.jsonl"):gsub("\n", "")
    assert.equal(69999, lines)
    local letters = dir:read("letters.jsonl")
    assert.is_truthy(letters:find("state of key 7: field 'deep.fn'", 1, true), letters)
    assert.is_truthy(letters:find('"component":"keeper"', 1, true), letters)
  end)
end)

describe("a state table", function()
  it("may hold nested tables, arrays and number keys, and 64-bit integers", function()
    local t = open(function(event, _, state)
      state.list = state.list or sw.array()
      state.list[#state.list + 1] = event.v
      state.by = state.by or {}
      state.by[event.v] = { seen = true, wide = 9007199254740993LL }
    end)
    for _, v in ipairs({ 3, 7, "x" }) do t:push("events", { k = "a", v = v }) end
    local state = t:state("keeper", "a")
    assert.same({ 3, 7, "x" }, { unpack(state.list) })
    assert.is_true(state.by[3].seen and state.by[7].seen and state.by.x.seen)
    assert.equal("9007199254740993", sw.str(state.by.x.wide))
  end)

  it("may hold sets of any numbers", function()
    math.randomseed(5)
    local t = open(function(event, _, state)
      state.set = { [event.n] = true }
      for _ = 1, 8 do state.set[math.random(9)] = true end
    end, { on_error = "skip" })
    for i = 1, 300 do t:push("events", { k = "a", n = i % 50 }) end
    assert.equal(0, t:counters("keeper").errors)
  end)

  it("keeps nested values of keys that were written back", function()
    local t = sw.test(function()
      local job = sw.job("nested")
      job:source("events", sw.from.generator(nothing)):flat_map("keys", function(event, emit)
        for k = 1, event.to do emit({ k = k }) end
      end):key_by("k"):apply("keeper", function(event, _, state)
        state[1.5], state[-3], state.nested = "half", "minus", { list = { event.k, sw.null }, none = sw.array() }
      end):to("results", sw.to.null())
      return job
    end)
    t:push("events", { to = 66000 })
    for _, k in ipairs({ 1, 66000 }) do
      local state = t:state("keeper", k)
      assert.same({ "half", "minus" }, { state[1.5], state[-3] })
      assert.equal(k, state.nested.list[1])
      assert.equal(sw.null, state.nested.list[2])
      assert.equal("[]", sw.str(state.nested.none))
    end
    assert.same({}, t:dead_letters())
  end)

  it("iterates by pairs and next in order: 1..#t, other numbers, strings bytewise", function()
    local orders = {}
    local t = open(function(event, _, state)
      for i = #event.keys, 1, -1 do state[event.keys[i]] = i end
      local by_pairs, by_next = {}, {}
      for key in pairs(state) do by_pairs[#by_pairs + 1] = tostring(key) end
      local key = next(state)
      while key ~= nil do
        by_next[#by_next + 1] = tostring(key)
        key = next(state, key)
      end
      orders[1], orders[2] = table.concat(by_pairs, " "), table.concat(by_next, " ")
    end)
    t:push("events", { k = 1, keys = { "b", "a", "B", "aa", "\255", 3, 2, 1, -1, 0.5, 10 } })
    assert.same({ "1 2 3 -1 0.5 10 B a aa b \255", "1 2 3 -1 0.5 10 B a aa b \255" }, orders)
  end)

  for what, case in pairs({
    ["a function"] = { value = print, path = "deep.v" }, ["userdata"] = { value = io.stdout, path = "deep.v" },
    ["a boolean key"] = { value = { [true] = 1 }, path = "deep.v.true" },
    ["a 64-bit integer as key"] = { value = { [9007199254740993LL] = 1 }, path = "deep.v" },
  }) do
    it("that holds " .. what .. " cannot be saved: an error naming component, key and path", function()
      local t = open(function(_, _, state) state.deep = { v = case.value } end)
      t:push("events", { k = "the-key" })
      local letter = t:dead_letters()[1]
      assert.equal("keeper", letter.component)
      assert.is_truthy(letter.error:find(case.path, 1, true), letter.error)
      assert.is_truthy(letter.error:find("the-key", 1, true), letter.error)
    end)
  end

  it("that is deeper than 24 or cyclic cannot be saved", function()
    local t = open(function(_, _, state) state.self = state end)
    t:push("events", { k = "round" })
    local letter = t:dead_letters()[1]
    assert.is_truthy(letter.error:find("nested deeper than 24", 1, true), letter.error)
    assert.is_truthy(letter.error:find("round", 1, true), letter.error)
  end)

  it("of an operator table comes with self; self is the instance's", function()
    local t = open({
      setup_instance = function(self) self.total = 0 end,
      apply = function(self, event, out, state)
        self.total = self.total + 1
        state.n = (state.n or 0) + 1
        out:emit({ key = out.key, n = state.n, total = self.total })
      end,
      get_state = function(self) return { total = self.total } end,
    })
    t:push("events", { k = "a" })
    t:push("events", { k = "b" })
    assert.same({ { key = "a", n = 1, total = 1 }, { key = "b", n = 1, total = 2 } }, t:results("results"))
    assert.same({ total = 2 }, t:state("keeper"))
  end)
end)

describe("a state record", function()
  local function set(event, _, state)
    for name, value in pairs(event.set or {}) do state[name] = value end
    for _, name in ipairs(event.unset or {}) do state[name] = nil end
  end

  it("has fields that start nil, and are nil again when they are set so", function()
    local t = open(set, { state = COUNTER_STATE })
    t:push("events", { k = 1, set = { n = 5, ok = false, at = 1000, last = "" } })
    assert.same({ n = 5, ok = false, at = 1000, last = "" }, t:state("keeper", 1))
    t:push("events", { k = 1, unset = { "n", "last" } })
    assert.same({ ok = false, at = 1000 }, t:state("keeper", 1))
  end)

  it("keeps strings of any length, also when they grow and shrink, and exact integers", function()
    local t = open(set, { state = COUNTER_STATE })
    for _, length in ipairs({ 1, 100, 10, 100000, 0, 5 }) do
      for k = 1, 3 do t:push("events", { k = k, set = { last = ("x"):rep(length + k), n = 9007199254740993LL } }) end
      for k = 1, 3 do assert.equal(("x"):rep(length + k), t:state("keeper", k).last) end
    end
    assert.is_true(t:state("keeper", 1).n == 9007199254740993LL)
  end)

  it("refuses fields that it lacks and values of the wrong type, naming the field", function()
    local t = open(set, { state = COUNTER_STATE })
    for i, case in ipairs({ { { missing = 1 }, "'missing'" }, { { n = "text" }, "'n'" }, { { n = 1.5 }, "'n'" },
      { { ok = 1 }, "'ok'" }, { { last = 5 }, "'last'" }, { { sum = "1" }, "'sum'" } }) do
      t:push("events", { k = i, set = case[1] })
      local letter = t:dead_letters()[i]
      assert.equal("keeper", letter.component)
      assert.is_truthy(letter.error:find(case[2], 1, true), letter.error)
    end
  end)

  it("reading a field that it lacks is an error that names it", function()
    local t = open(function(_, out, state) out:emit({ n = state.missing }) end, { state = COUNTER_STATE })
    t:push("events", { k = 1 })
    assert.is_truthy(t:dead_letters()[1].error:find("'missing'", 1, true))
  end)
end)

describe("instance state", function()
  it("is each instance's own, and told by get_state", function()
    local t = sw.test(function()
      local job = sw.job("instances")
      job:source("events", sw.from.generator(nothing)):shuffle():apply("keeper", {
        setup_instance = function(self, instance, state) self.id, self.n, self.state = instance.id, 0, state end,
        apply = function(self) self.n = self.n + 1 end,
        get_state = function(self) return { id = self.id, n = self.n, had_state = self.state ~= nil } end,
      }, { parallelism = 2 }):to("results", sw.to.null())
      return job
    end)
    for n = 1, 5 do t:push("events", { n = n }) end
    local states = t:state("keeper")
    assert.equal(5, states[1].n + states[2].n)
    for i = 1, 2 do assert.same({ i - 1, false }, { states[i].id, states[i].had_state }) end
  end)
end)
