local json = require("cjson")
local support = require("spec.e2e.support")
local sw = require("swlua")

local VEHICLES = [[
local sw = require "swlua"
local job = sw.job("vehicles")
local counter = {
  setup_instance = function(self) self.counts = {} end,
  apply = function(self, event, out)
    self.counts[event.line] = (self.counts[event.line] or 0) + 1
    out:emit({ vehicle = event.line, n = self.counts[event.line] })
  end,
}
job:source("sensor", sw.from.file("vehicles.txt", { format = "lines" }))
  :apply("counter", counter)
  :to("counts", sw.to.file("counts.jsonl"))
return job
]]

--- A job whose operator "burst" emits as many events as it is told to, into a consumer with a queue of
-- its own, which holds `queue` events. Gives what the consumer had taken when the burst was over.
local function burst(queue, seed)
  local consumed, at_end = 0, nil
  local t = sw.test(function()
    local job = sw.job("burst")
    job:source("ticks", sw.from.generator(function() end))
      :flat_map("burst", function(event, emit)
        for i = 1, event.count do emit({ i = i }) end
        at_end = consumed
      end)
      :apply("consumer", function(event, out)
        consumed = consumed + 1
        out:emit(event)
      end, { queue = queue })
      :to("results", sw.to.null())
    return job
  end, { seed = seed })
  return t, function() return at_end end
end

describe("basics", function()
  local dir
  before_each(function()
    dir = support.folder()
    dir:write("vehicles.lua", VEHICLES)
    dir:write("vehicles.txt", "car\ntruck\ncar\n")
  end)
  after_each(function() dir:remove() end)

  describe("1: results", function()
    it("come per event, without waiting for the end of input", function()
      local t = sw.test(dir.path .. "/vehicles.lua")
      t:push("sensor", { line = "car" })
      assert.same({ { vehicle = "car", n = 1 } }, t:results("counts"))
      t:push("sensor", { line = "car" })
      assert.same({ vehicle = "car", n = 2 }, t:results("counts")[2])
    end)

    it("are the same over a bounded file, where the script ends by itself", function()
      local t = sw.test(dir.path .. "/vehicles.lua")
      for line in dir:read("vehicles.txt"):gmatch("%a+") do t:push("sensor", { line = line }) end
      local result = dir:swlua("vehicles.lua")
      assert.same({ status = 0, out = "", err = "" }, result)
      local rows = {}
      for line in dir:read("counts.jsonl"):gmatch("[^\n]+") do rows[#rows + 1] = json.decode(line) end
      assert.same(t:results("counts"), rows)
    end)
  end)

  it("2: a source, an operator, a stream, events: car, truck, car count to car 2, truck 1", function()
    assert.equal(0, dir:swlua("vehicles.lua").status)
    local lines = { [[{"n":1,"vehicle":"car"}]], [[{"n":1,"vehicle":"truck"}]], [[{"n":2,"vehicle":"car"}]], "" }
    assert.equal(table.concat(lines, "\n"), dir:read("counts.jsonl"))
  end)

  describe("3: a queue", function()
    it("absorbs a burst as large as it is without stopping the producer", function()
      for seed = 1, 5 do
        local t, consumed_at_end = burst(64, seed)
        t:push("ticks", { count = 64 })
        assert.equal(0, consumed_at_end())
        assert.equal(64, #t:results("results"))
        t:close()
      end
    end)

    it("stops the producer at one more event, and nothing is lost", function()
      for seed = 1, 5 do
        local t, consumed_at_end = burst(64, seed)
        t:push("ticks", { count = 65 })
        assert.is_true(consumed_at_end() > 0)
        for i, row in ipairs(t:results("results")) do assert.equal(i, row.i) end
        assert.equal(65, #t:results("results"))
        t:close()
      end
    end)

    it("bounds what is under way, however much one event emits", function()
      local t, consumed_at_end = burst(16, 1)
      t:push("ticks", { count = 10000 })
      assert.is_true(consumed_at_end() >= 10000 - 16)
      assert.equal(10000, #t:results("results"))
    end)
  end)

  describe("4: without failures", function()
    local TWO_READERS = [[
local sw = require "swlua"
local job = sw.job("readers", { parallelism = 2 })
local numbers = job:source("numbers", sw.from.generator(function(i) return { n = i } end, { count = 1000 }))
numbers:shuffle():map("left", function(event) return event end):to("lefts", sw.to.file("left.jsonl"))
numbers:key_by("n"):map("right", function(event) return event end):to("rights", sw.to.file("right.jsonl"))
return job
]]

    it("every emitted event is consumed exactly once by each downstream component", function()
      dir:write("readers.lua", TWO_READERS)
      assert.equal(0, dir:swlua("readers.lua --workers 2 --report report.json").status)
      local components = json.decode(dir:read("report.json")).components
      for _, name in ipairs({ "left", "right" }) do
        assert.equal(1000, components[name]["in"])
        local seen = {}
        for n in dir:read(name .. ".jsonl"):gmatch('"n":(%d+)') do
          assert.is_nil(seen[n])
          seen[n] = true
        end
        for i = 1, 1000 do assert.is_true(seen[tostring(i)]) end
      end
    end)

    it("the graph can be looked at while it runs", function()
      local t = sw.test(dir.path .. "/vehicles.lua")
      t:push("sensor", { line = "car" })
      t:push("sensor", { line = "bus" })
      local names = {}
      for i, component in ipairs(t.job:describe().components) do names[i] = component.name end
      assert.same({ "sensor", "counter", "counts" }, names)
      assert.equal(2, t:counters("sensor").out)
      assert.equal(2, t:counters("counter")["in"])
      assert.equal(2, t:counters("counts")["in"])
    end)
  end)
end)
