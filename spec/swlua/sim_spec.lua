local sim = require("spec.e2e.sim")

describe("--sim --seed N", function()
  local dir = sim.folder()
  teardown(function() dir:remove() end)
  local _, threaded = sim.run(dir, "--workers 2")

  it("is given a job that does something in every part", function()
    for _, part in ipairs({ '"name":"weight"', '"n":1}', '"i":-5,', '"component":"double"' }) do
      assert.is_truthy(threaded:find(part, 1, true), part)
    end
  end)

  for seed = 1, 20 do
    it(("%d gives the same bytes twice, and the rows of the threaded run"):format(seed), function()
      local first, multiset = sim.run(dir, "--sim --seed " .. seed)
      assert.is_true(first == (sim.run(dir, "--sim --seed " .. seed)))
      assert.equal(threaded, multiset)
    end)
  end

  it("gives other schedules for other seeds", function()
    local first, second = sim.run(dir, "--sim --seed 1"), sim.run(dir, "--sim --seed 2")
    assert.is_true(first ~= second)
  end)

  it("gives the same bytes with several workers' Lua states", function()
    local first, multiset = sim.run(dir, "--sim --seed 5 --workers 3")
    assert.is_true(first == (sim.run(dir, "--sim --seed 5 --workers 3")))
    assert.equal(threaded, multiset)
  end)
end)
