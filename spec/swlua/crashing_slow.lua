--- 10,000 seeds in two processes.
local crashing = require("spec.fixtures.crashing")
local support = require("spec.e2e.support")

local SEEDS = 5000 -- of each process

--- Runs seeds in another process; a function that waits for it and returns what it said.
local function elsewhere(first, last, delivery)
  local pipe = io.popen(("luajit -e %s 2>/dev/null"):format(support.quoted(([[
    require("swlua")
    local differences, crashes = require("spec.fixtures.crashing").run_all(%d, %d, "%s")
    for _, difference in ipairs(differences) do print(difference) end
    print(crashes > %d and "enough crashes" or "too few crashes")
  ]]):format(first, last, delivery, last - first))))
  return function()
    local said = pipe:read("*a")
    pipe:close()
    return said
  end
end

describe("a job that crashes at random scheduling steps, over 10,000 seeds,", function()
  it("shows what a run without crashes shows, and loses nothing under at-least-once", function()
    local other = elsewhere(100001, 100000 + SEEDS, "exactly-once")
    assert.same({}, (crashing.run_all(200001, 200000 + SEEDS - 1500, "exactly-once")))
    assert.same({}, (crashing.run_all(300001, 301500, "at-least-once")))
    assert.equal("enough crashes\n", other())
  end)
end)
