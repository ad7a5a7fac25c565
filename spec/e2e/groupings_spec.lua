--- All groupings at parallelism 2: every branch gets every event exactly once, whatever the shape and the number of
-- threads.
local support = require("spec.e2e.support")

local JOB = io.popen("pwd"):read("*l") .. "/spec/fixtures/groupings.lua"
local EVENTS = tonumber(os.getenv("SW_GROUPING_EVENTS") or 200000)

local function totals(stdout)
  local sums = {}
  for name, n, sum in stdout:gmatch("(%S+) (%d+) (%d+)\n") do
    local total = sums[name] or { n = 0, sum = 0 }
    total.n, total.sum = total.n + tonumber(n), total.sum + tonumber(sum)
    sums[name] = total
  end
  return sums
end

describe("all groupings at parallelism 2", function()
  for _, shape in ipairs({ "table", "record" }) do
    for workers = 1, 2 do
      it(("give each branch every event once: %ss, %d workers"):format(shape, workers), function()
        local dir = support.folder()
        local run = dir:swlua(("run %s --workers %d --progress off --set n=%d --set shape=%s")
          :format(JOB, workers, EVENTS, shape))
        dir:remove()
        assert.equal(0, run.status, run.err)
        local once = { n = EVENTS, sum = EVENTS * (EVENTS + 1) / 2 }
        local sums = totals(run.out)
        for _, name in ipairs({ "by_field", "by_fields", "by_function", "global", "partition" }) do
          assert.same(once, sums[name], name)
        end
        assert.same({ n = 2 * once.n, sum = 2 * once.sum }, sums.broadcast)
      end)
    end
  end
end)
