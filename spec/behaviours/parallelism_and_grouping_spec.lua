local support = require("spec.e2e.support")
local sw = require("swlua")

--- Tells which instance saw which event: { instance, n }.
local function witness(order)
  return {
    setup_instance = function(self, instance) self.id, self.seen = instance.id, 0 end,
    apply = function(self, event, out)
      self.seen = self.seen + 1
      local row = sw.table(event)
      row.instance, row.seen = self.id, self.seen
      if order then order[#order + 1] = self.id end
      out:emit(row)
    end,
    get_state = function(self) return { seen = self.seen } end,
  }
end

--- Opens a job of one source, what `build` makes of its stream, and one sink.
local function open(build, seed)
  return sw.test(function()
    local job = sw.job("grouping")
    build(job:source("events", sw.from.generator(function() end))):to("results", sw.to.null())
    return job
  end, { seed = seed })
end

local function push_numbers(t, count)
  for n = 1, count do t:push("events", { n = n, key = "k" .. n % 7 }) end
end

--- How many results each instance made.
local function per_instance(rows)
  local counts = {}
  for _, row in ipairs(rows) do counts[row.instance] = (counts[row.instance] or 0) + 1 end
  return counts
end

describe("5: components", function()
  it("run side by side: the second works before the first has emitted its last", function()
    local log = {}
    local t = sw.test(function()
      local job = sw.job("tasks")
      job:source("events", sw.from.generator(function() end))
        :flat_map("first", function(_, emit)
          for n = 1, 100 do emit({ n = n }) end
          log[#log + 1] = "first is done"
        end)
        :map("second", function(event)
          log[#log + 1] = event.n
          return event
        end, { queue = 8 })
        :to("results", sw.to.null())
      return job
    end)
    t:push("events", {})
    assert.equal(1, log[1])
    assert.equal(101, #log)
    assert.not_equal("first is done", log[101])
  end)

  it("run in many instances of one, which share no state", function()
    local t = open(function(s) return s:shuffle():apply("count", witness(), { parallelism = 3 }) end)
    push_numbers(t, 9)
    assert.same({ { seen = 3 }, { seen = 3 }, { seen = 3 } }, t:state("count"))
    for _, row in ipairs(t:results("results")) do assert.is_true(row.seen <= 3) end
  end)
end)

describe("6: parallel sources", function()
  local FILES = [[
local sw = require "swlua"
local job = sw.job("files")
local tag = {
  setup_instance = function(self, instance) self.id = instance.id end,
  apply = function(self, event, out) out:emit({ line = event.line, instance = self.id }) end,
}
job:source("lines", sw.from.file("in-*.txt", { format = "lines" }), { parallelism = 2 })
  :apply("tag", tag)
  :to("results", sw.to.file("results.jsonl"))
return job
]]

  it("read each its own part, and totals add up", function()
    local dir = support.folder()
    finally(function() dir:remove() end)
    dir:write("files.lua", FILES)
    for _, name in ipairs({ "a", "b", "c", "d" }) do dir:write("in-" .. name .. ".txt", (name .. "\n"):rep(25)) end
    assert.same({ status = 0, out = "", err = "" }, dir:swlua("files.lua --workers 2"))
    local lines, instance_of, instances = {}, {}, {}
    for instance, line in dir:read("results.jsonl"):gmatch('{"instance":(%d),"line":"(%a)"}\n') do
      lines[line] = (lines[line] or 0) + 1
      assert.equal(instance_of[line] or instance, instance)
      instance_of[line], instances[instance] = instance, true
    end
    assert.same({ a = 25, b = 25, c = 25, d = 25 }, lines)
    assert.same({ ["0"] = true, ["1"] = true }, instances)
  end)
end)

describe("7: shuffle grouping", function()
  it("gives p instances counts that differ by at most 1", function()
    for _, count in ipairs({ 9, 10, 11, 1 }) do
      local t = open(function(s) return s:shuffle():apply("seen", witness(), { parallelism = 3 }) end)
      push_numbers(t, count)
      local least, most = math.huge, 0
      for _, state in ipairs(t:state("seen")) do
        least, most = math.min(least, state.seen), math.max(most, state.seen)
      end
      assert.is_true(most - least <= 1)
      assert.equal(count, #t:results("results"))
    end
  end)
end)

describe("8: fields grouping", function()
  local function by_key(s) return s:key_by("key"):apply("seen", witness(), { parallelism = 3 }) end

  it("lets equal keys meet in one instance", function()
    local t, instance_of = open(by_key), {}
    push_numbers(t, 70)
    for _, row in ipairs(t:results("results")) do
      assert.equal(instance_of[row.key] or row.instance, row.instance)
      instance_of[row.key] = row.instance
    end
    assert.equal(70, #t:results("results"))
  end)

  it("spreads distinct keys over the instances", function()
    local t = open(function(s) return s:key_by("n"):apply("seen", witness(), { parallelism = 3 }) end)
    push_numbers(t, 300)
    local counts = per_instance(t:results("results"))
    for id = 0, 2 do assert.is_true(counts[id] > 50) end
  end)

  it("keeps the order of a key from one upstream instance", function()
    for seed = 1, 10 do
      local t = open(function(s)
        return by_key(s:shuffle():apply("sender", {
          setup_instance = function(self, instance) self.id = instance.id end,
          apply = function(self, event, out) out:emit({ key = event.key, n = event.n, sender = self.id }) end,
        }, { parallelism = 2 }))
      end, seed)
      push_numbers(t, 100)
      local last = {}
      for _, row in ipairs(t:results("results")) do
        local lane = row.sender .. row.key
        assert.is_true(row.n > (last[lane] or 0))
        last[lane] = row.n
      end
      assert.equal(100, #t:results("results"))
      t:close()
    end
  end)

  it("takes keys of several fields, of a function, and none as a key of its own", function()
    local function instances(key)
      local t, of = open(function(s) return s:key_by(key):apply("seen", witness(), { parallelism = 4 }) end), {}
      for i = 1, 40 do t:push("events", { a = i % 3, b = i % 2 == 0 and "x" or nil }) end
      for _, row in ipairs(t:results("results")) do
        local name = tostring(row.a) .. tostring(row.b)
        assert.equal(of[name] or row.instance, row.instance)
        of[name] = row.instance
      end
      assert.equal(40, #t:results("results"))
    end
    instances({ "a", "b" })
    instances("b")
    instances(function(event) return event.a end)
  end)
end)

describe("9: order", function()
  it("is first in, first out per sender and receiver, under any schedule", function()
    for seed = 1, 10 do
      local t = open(function(s)
        return s:shuffle():apply("sender", {
          setup_instance = function(self, instance) self.id, self.n = instance.id, 0 end,
          apply = function(self, event, out)
            for _ = 1, event.count do
              self.n = self.n + 1
              out:emit({ sender = self.id, n = self.n })
            end
          end,
        }, { parallelism = 3 }):shuffle():apply("receiver", witness(), { parallelism = 2, queue = 16 })
      end, seed)
      for _ = 1, 6 do t:push("events", { count = 50 }) end
      local last = {}
      for _, row in ipairs(t:results("results")) do
        local lane = row.sender .. "-" .. row.instance
        assert.is_true(row.n > (last[lane] or 0))
        last[lane] = row.n
      end
      assert.equal(300, #t:results("results"))
      t:close()
    end
  end)

  it("is not promised across instances: schedules differ", function()
    local orders = {}
    for seed = 1, 20 do
      local order = {}
      local t = open(function(s)
        return s:flat_map("burst", function(_, emit)
          for n = 1, 8 do emit({ n = n }) end
        end):shuffle():apply("receiver", witness(order), { parallelism = 3 })
      end, seed)
      t:push("events", {})
      orders[table.concat(order)] = true
      t:close()
    end
    assert.is_not_nil(next(orders, (next(orders))))
  end)
end)

describe("10: instances", function()
  it("know their ids 0..p-1 in setup, before the first event", function()
    local log = {}
    local t = open(function(s)
      return s:broadcast():apply("announce", {
        setup_instance = function(self, instance)
          log[#log + 1] = ("setup %d of %d in %s"):format(instance.id, instance.count, instance.component)
          self.id = instance.id
        end,
        apply = function(self) log[#log + 1] = "event at " .. self.id end,
      }, { parallelism = 3 })
    end)
    t:push("events", {})
    table.sort(log, function(a, b) return a > b end)
    assert.same({ "setup 2 of 3 in announce", "setup 1 of 3 in announce",
      "setup 0 of 3 in announce", "event at 2", "event at 1", "event at 0" }, log)
  end)

  it("are set up before any of them gets an event", function()
    local setups, early = 0, 0
    local t = open(function(s)
      return s:shuffle():apply("early", {
        setup_instance = function() setups = setups + 1 end,
        apply = function() if setups < 3 then early = early + 1 end end,
      }, { parallelism = 3 })
    end)
    push_numbers(t, 6)
    assert.same({ 3, 0 }, { setups, early })
  end)

  it("get each event by broadcast", function()
    local t = open(function(s) return s:broadcast():apply("seen", witness(), { parallelism = 3 }) end)
    push_numbers(t, 5)
    assert.same({ [0] = 5, 5, 5 }, per_instance(t:results("results")))
  end)

  it("get nothing by global, but for instance 0, which gets all", function()
    local t = open(function(s) return s:global():apply("seen", witness(), { parallelism = 3 }) end)
    push_numbers(t, 5)
    assert.same({ [0] = 5 }, per_instance(t:results("results")))
  end)

  it("get what a partition function gives them", function()
    local t = open(function(s)
      return s:partition(function(event, n) return n - 1 - event.n % n end)
        :apply("seen", witness(), { parallelism = 3 })
    end)
    push_numbers(t, 6)
    for _, row in ipairs(t:results("results")) do assert.equal(2 - row.n % 3, row.instance) end
    assert.equal(6, #t:results("results"))
  end)

  it("that a partition function makes up are an error of the event", function()
    local t = open(function(s)
      return s:partition(function(event) return event.n end):apply("seen", witness(), { parallelism = 3 })
    end)
    push_numbers(t, 4)
    assert.equal(2, #t:results("results"))
    local letters = t:dead_letters()
    assert.equal(2, #letters)
    assert.is_truthy(letters[1].error:find("returned 3, not an instance from 0 to 2", 1, true))
  end)
end)
