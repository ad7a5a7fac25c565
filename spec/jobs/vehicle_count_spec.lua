local sw = require "swlua"

describe("the vehicle_count job", function()
  local function job_with(arguments)
    return sw.test(function()
      sw._set_args(arguments)
      return dofile("jobs/vehicle_count.lua")
    end)
  end
  local function push(t, vehicles)
    for vehicle in vehicles:gmatch("%S+") do t:push("sensor-reader", { line = vehicle }) end
  end
  --- The last counts of each counter.
  local function last_counts(t)
    local last = {}
    for _, row in ipairs(t:results("counts")) do last[row.counter] = row.counts end
    return last
  end
  local function total(counts)
    local sum = {}
    for _, of_counter in pairs(counts) do
      for vehicle, n in pairs(of_counter) do sum[vehicle] = (sum[vehicle] or 0) + n end
    end
    return sum
  end
  after_each(function() sw._set_args({}) end)

  it("counts car, truck, car to car 2, truck 1, with a result per vehicle", function()
    local t = sw.test("jobs/vehicle_count.lua")
    push(t, "car truck car")
    assert.same({
      { counter = 0, counts = { car = 1 } },
      { counter = 0, counts = { car = 1, truck = 1 } },
      { counter = 0, counts = { car = 2, truck = 1 } },
    }, t:results("counts"))
  end)
  it("passes over empty lines", function()
    local t = sw.test("jobs/vehicle_count.lua")
    t:push("sensor-reader", { line = "" })
    assert.same({}, t:results("counts"))
  end)
  it("shares vehicles out evenly under shuffle grouping", function()
    local t = job_with({ counters = 2, grouping = "shuffle" })
    push(t, "car car car car car car")
    assert.same({ [0] = { car = 3 }, [1] = { car = 3 } }, last_counts(t))
  end)
  it("counts each type in one counter under fields grouping", function()
    local t = job_with({ counters = 2, grouping = "fields" })
    push(t, "car truck car bus van truck car bike")
    local counts = last_counts(t)
    for vehicle in pairs(counts[0] or {}) do assert.is_nil((counts[1] or {})[vehicle]) end
    assert.same({ bike = 1, bus = 1, car = 3, truck = 2, van = 1 }, total(counts))
  end)
  it("adds up to the same totals with two readers", function()
    local t = job_with({ readers = 2, counters = 2, grouping = "fields" })
    push(t, "car truck car bus van truck car bike")
    assert.same({ bike = 1, bus = 1, car = 3, truck = 2, van = 1 }, total(last_counts(t)))
  end)
  it("refuses a grouping it does not know, naming it", function()
    assert.error_matches(function() job_with({ grouping = "random" }) end,
      "grouping: expected shuffle or fields, got random")
  end)
end)
