-- The jobs that ship, over files and standard input.
local json = require("cjson")
local support = require("spec.e2e.support")

local root = io.popen("pwd"):read("*l")

describe("the job", function()
  local dir
  before_each(function() dir = support.folder() end)
  after_each(function() dir:remove() end)

  --- Runs a shell script in which $jobs is the folder of the jobs; its output's lines.
  local function run(script)
    local result = dir:shell("jobs=" .. support.quoted(root .. "/jobs") .. "\n" .. script)
    assert.equal("", result.err)
    assert.equal(0, result.status)
    local lines = {}
    for line in result.out:gmatch("[^\n]+") do lines[#lines + 1] = line end
    return lines
  end
  --- The same with the last line read as JSON.
  local function last_of(script)
    local lines = run(script)
    return json.decode(lines[#lines]), #lines
  end

  describe("vehicle_count", function()
    local SAMPLE = { bike = 4, bus = 8, car = 32, truck = 10, van = 6 }

    it("counts car, truck, car from standard input to car 2, truck 1", function()
      local last, count = last_of([[printf 'car\ntruck\ncar\n' | "$swlua" "$jobs/vehicle_count.lua" --set input=-]])
      assert.are.same({ counter = 0, counts = { car = 2, truck = 1 } }, last)
      assert.equal(3, count)
    end)

    it("counts its sample the same from a file and from standard input", function()
      assert.are.same(SAMPLE, last_of([["$swlua" "$jobs/vehicle_count.lua"]]).counts)
      assert.are.same(SAMPLE, last_of(
        [["$swlua" "$jobs/vehicle_count.lua" --set input=- <"$jobs/samples/vehicles.txt"]]).counts)
    end)

    for _, grouping in ipairs({ "shuffle", "fields" }) do
      it("counts the same with two readers of two files and two counters, by " .. grouping, function()
        local lines = run(([["$swlua" "$jobs/vehicle_count.lua" --workers 2 --set readers=2 --set counters=2]]
          .. " --set grouping=%s"):format(grouping))
        local last, total = {}, {}
        for _, line in ipairs(lines) do
          local row = json.decode(line)
          last[row.counter] = row.counts
        end
        for _, counts in pairs(last) do
          for vehicle, n in pairs(counts) do total[vehicle] = (total[vehicle] or 0) + n end
        end
        assert.are.same(SAMPLE, total)
        assert.equal(60, #lines)
      end)
    end

    it("ends with 3 for a grouping it does not know", function()
      local result = dir:shell(('"$swlua" %s --set grouping=random'):format(
        support.quoted(root .. "/jobs/vehicle_count.lua")))
      assert.equal(3, result.status)
      assert.is_truthy(result.err:find("grouping: expected shuffle or fields, got random", 1, true), result.err)
    end)
  end)

  describe("fraud", function()
    local function summary(script)
      local lines = run(script)
      for i = 1, #lines - 1 do assert.is_number(json.decode(lines[i]).id) end
      local precision, recall, tp, fp, total = lines[#lines]:match(
        "^precision ([%d.]+) recall ([%d.]+) %(tp (%d+) fp (%d+) fn %d+ of (%d+)%)$")
      assert.is_truthy(precision, lines[#lines])
      assert.equal(#lines - 1, tp + fp)
      return tonumber(precision), tonumber(recall), tonumber(total)
    end

    it("prints each flagged transaction of its sample, then precision and recall", function()
      local precision, recall, total = summary([["$swlua" "$jobs/fraud.lua"]])
      assert.equal(5000, total)
      assert.is_true(precision > 0.8 and recall > 0.8)
    end)

    it("judges the same from standard input, and on two workers", function()
      run([["$swlua" "$jobs/fraud.lua" --workers 1 | LC_ALL=C sort >one]])
      run([["$swlua" "$jobs/fraud.lua" --workers 2 --set input=- <"$jobs/samples/transactions.jsonl" |
        LC_ALL=C sort >two]])
      assert.equal(dir:read("one"), dir:read("two"))
    end)

    it("reads what its generator writes", function()
      local _, _, total = summary([["$swlua" "$jobs/fraud/generate.lua" --set count=2000 --set seed=7 |
        "$swlua" "$jobs/fraud.lua" --set input=-]])
      assert.equal(2000, total)
    end)

    it("ships the sample that its generator writes", function()
      run([["$swlua" "$jobs/fraud/generate.lua" | cmp - "$jobs/samples/transactions.jsonl"]])
    end)
  end)
end)
