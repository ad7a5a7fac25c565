-- jobs/nexmark: each query against all events at once, over several inputs; in the program, and with crashes.
local json = require("cjson")
local oracle = require("spec.fixtures.nexmark")
local support = require("spec.e2e.support")
local sw = require "swlua"

local root = io.popen("pwd"):read("*l")
local INPUTS = {
  { events = 6000, rate = 1000, seed = 1, disorder = 0 },
  { events = 6000, rate = 300, seed = 2, disorder = 3000 },
  { events = 3000, rate = 20, seed = 3, disorder = 15000 },
}

local function read_rows(text)
  local rows = {}
  for line in text:gmatch("[^\n]+") do rows[#rows + 1] = json.decode(line) end
  return rows
end

describe("a NEXMark query", function()
  local dir, inputs, path
  setup(function()
    dir, inputs, path = support.folder(), {}, package.path
    package.path = "jobs/nexmark/?.lua;" .. path
    for i, options in ipairs(INPUTS) do
      local settings = ("--set events=%d --set rate=%d --set seed=%d --set disorder=%d")
        :format(options.events, options.rate, options.seed, options.disorder)
      local made = dir:swlua(("run %s/jobs/nexmark/generate.lua %s --set output=in%d.jsonl"):format(root, settings, i))
      assert.equal(0, made.status, made.err)
      inputs[i] = read_rows(dir:read(("in%d.jsonl"):format(i)))
      assert.equal(options.events, #inputs[i])
    end
  end)
  teardown(function()
    package.path = path
    dir:remove()
  end)

  for n = 0, 22 do
    it("gives what it ought to, q" .. n, function()
      for i, options in ipairs(INPUTS) do
        for parallelism = 1, 2 do
          local result = dir:swlua(("run %s/jobs/nexmark/q%d.lua --set input=in%d.jsonl --set disorder=%d "
            .. "--set output=out.jsonl --state state --from none --parallelism %d")
            :format(root, n, i, options.disorder, parallelism))
          assert.equal(0, result.status, result.err)
          local expected = oracle.sorted(n, oracle.rows[n](inputs[i]), sw.str)
          assert.is_true(#expected > 0)
          assert.same(expected, oracle.sorted(n, read_rows(dir:read("out.jsonl")), sw.str))
        end
      end
    end)
  end

  for n = 0, 22 do
    it("gives the same with crashes, q" .. n, function()
      local t = sw.test(function()
        local job = dofile(("jobs/nexmark/q%d.lua"):format(n))
        job.settings.delivery = "exactly-once" -- as --delivery does
        return job
      end)
      local events = { unpack(inputs[1], 1, 1500) }
      for i, event in ipairs(events) do
        t:push("events", event)
        if i % 150 == 0 then t:checkpoint() end
        if i % 400 == 0 then
          t:crash()
          t:restore()
        end
      end
      t:finish()
      local expected = oracle.sorted(n, oracle.rows[n](events), sw.str)
      assert.same(expected, oracle.sorted(n, t:results("rows"), sw.str))
    end)
  end
end)
