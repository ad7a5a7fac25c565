-- tracking = "ack" in the program: many events, many errors, compiled.
local json = require("cjson")
local support = require("spec.e2e.support")

local FAILING = [[
local sw = require "swlua"
local job = sw.job("failing", { delivery = "at-least-once", tracking = "ack", on_error = "skip", parallelism = 2 })
job:source("in", sw.from.generator(function(i) return { n = i } end, { count = 60000 }))
  :apply("thirds", function(event, out)
    if event.n % 3 == 0 then error("a third") end
    out:emit({ n = event.n })
  end)
  :key_by("n")
  :apply("fifths", function(event, out, state)
    state.n = event.n
    if event.n % 5 == 0 then error("a fifth") end
    out:emit({ n = event.n })
  end)
  :to("out", sw.to.file("out.jsonl"))
return job
]]

describe("acknowledging", function()
  it("ends with nothing lost and nothing twice, whatever fails", function()
    local dir = support.folder()
    finally(function() dir:remove() end)
    dir:write("failing.lua", FAILING)
    local result = dir:swlua("failing.lua --state state --report report.json")
    assert.equal(0, result.status, result.err)
    local numbers, seen = 0, {}
    for line in dir:read("out.jsonl"):gmatch("[^\n]+") do
      local n = json.decode(line).n
      assert.is_nil(seen[n])
      assert.is_true(n % 3 ~= 0 and n % 5 ~= 0)
      seen[n], numbers = true, numbers + 1
    end
    assert.equal(60000 * 2 / 3 * 4 / 5, numbers)
  end)
end)
