local json = require("cjson")
local support = require("spec.e2e.support")
local sw = require("swlua")

local function open(options)
  local calls = {}
  local t = sw.test(function()
    local job = sw.job("delivery", options)
    job:source("events", sw.from.generator(function() end))
      :map("fragile", function(event)
        calls[event.n] = (calls[event.n] or 0) + 1
        if event.n % 3 == 0 then error("no multiples of three") end
        return event
      end)
      :to("results", sw.to.null())
    return job
  end)
  for n = 1, 10 do t:push("events", { n = n }) end
  return t, calls
end

describe("16: at-most-once", function()
  it("loses the event on which an operator fails, and replays nothing", function()
    for _, policy in ipairs({ "skip", "dead-letter" }) do
      local t, calls = open({ on_error = policy })
      t:finish()
      local numbers = {}
      for i, row in ipairs(t:results("results")) do numbers[i] = row.n end
      assert.same({ 1, 2, 4, 5, 7, 8, 10 }, numbers)
      for n = 1, 10 do assert.equal(1, calls[n]) end
    end
  end)

  it("is the default, and then keeps what failed as dead letters", function()
    local t = open()
    local failed = {}
    for i, letter in ipairs(t:dead_letters()) do failed[i] = letter.event.n end
    assert.same({ 3, 6, 9 }, failed)
  end)
end)

describe("25: counters", function()
  it("tell times delivered from times processed", function()
    local t = open({ on_error = "skip" })
    local counters = t:counters("fragile")
    assert.same({ 10, 3, 7 }, { counters["in"], counters.errors, counters.out })
    assert.equal(7, t:counters("results")["in"])
  end)

  it("tell so in the report as well", function()
    local dir = support.folder()
    finally(function() dir:remove() end)
    dir:write("fragile.lua", [[
local sw = require "swlua"
local job = sw.job("fragile", { parallelism = 2 })
job:source("events", sw.from.generator(function(i) return { n = i } end, { count = 3000 })):shuffle()
  :map("fragile", function(event)
    if event.n % 3 == 0 then error("no multiples of three") end
    return event
  end, { on_error = "skip" })
  :to("results", sw.to.null())
return job
]])
    assert.equal(0, dir:swlua("fragile.lua --workers 2 --report report.json").status)
    local components = json.decode(dir:read("report.json")).components
    assert.same({ 3000, 1000, 2000 }, { components.fragile["in"], components.fragile.errors, components.fragile.out })
    assert.equal(0, components.fragile.replayed)
    assert.equal(2000, components.results["in"])
  end)
end)
