local sim = require("spec.e2e.sim")

describe("--sim, over 100 seeds", function()
  local dir = sim.folder()
  teardown(function() dir:remove() end)
  local _, threaded = sim.run(dir, "--workers 2")

  for seed = 1, 100 do
    it(("seed %d gives the same bytes twice, and the rows of the threaded run"):format(seed), function()
      local first, multiset = sim.run(dir, "--sim --seed " .. seed)
      assert.is_true(first == (sim.run(dir, "--sim --seed " .. seed)))
      assert.equal(threaded, multiset)
    end)
  end
end)
