local check = require("swlua.check")

--- Runs a text as the script jobs/x.lua.
local function run(text)
  return assert(loadstring('local sw = require("swlua")\n' .. text, "@jobs/x.lua"))()
end

describe("a problem", function()
  it("is an error at the script's line, also in the middle of a chain", function()
    local ok, message = pcall(run, [[
      local job = sw.job("a")
      job:source("s", sw.from.stdin())
        :map("m", function() end)
        :filter("totals", print, { paralelism = 2 })
    ]])
    assert.is_false(ok)
    assert.equal('jobs/x.lua:5: component "totals": unknown option "paralelism" (did you mean "parallelism"?)', message)
  end)

  it("names the script where a tail call leaves no line", function()
    check.script = "jobs/x.lua"
    local ok, message = pcall(coroutine.wrap(function()
      return run('return sw.job("")')
    end))
    check.script = nil
    assert.is_false(ok)
    assert.is_truthy(message:find("^jobs/x.lua: job: the first argument"), message)
  end)
end)

describe("swlua.check.with_collection", function()
  it("notes every problem of a script with its line, and gives the job", function()
    local problems, job = check.with_collection(function()
      return run([[
        local job = sw.job("a", { parallelism = 0 })
        local s = job:source("s", sw.from.flie("x"), { time = 1 })
        s:map("s", 5):windwo("1m"):key_by(7):apply("y", {}):print()
        s:to("out", sw.to.tcp("x:1"), { quue = 2 })
        sw.union(s, 5):to("out", sw.to.null())
        return job
      ]])
    end)
    local lines = {}
    for i, problem in ipairs(problems) do
      assert.equal("jobs/x.lua", problem.file)
      lines[i] = problem.line .. " " .. problem.text:match("^[^(]*[^( ]")
    end
    assert.same({
      '2 job "a": option "parallelism" must be a whole number from 1 to 128, got 0',
      "3 sw.from.flie does not exist",
      '3 component "s": option "time" must be a field name or a function, got 1',
      '4 component "s": expected a function, got 5',
      '4 component "s": the name is taken by the source at jobs/x.lua:3',
      "4 streams have no method 'windwo'",
      "4 key_by: expected a field name, a list of different field names or a function, got 7",
      '4 component "y": a custom operator needs the function apply',
      "5 sw.to.tcp is not available in this version",
      '5 component "out": unknown option "quue"',
      "6 sw.union: argument 2 must be a stream, got 5",
      '6 component "out": the name is taken by the sink at jobs/x.lua:5',
    }, lines)
    assert.equal("a", job.name)
  end)

  it("makes an error of the script the last problem", function()
    local problems, result = check.with_collection(function()
      return run('sw.job("a", 5)\nlocal x = nil\nreturn x.y')
    end)
    assert.same({ 2, 4 }, { problems[1].line, problems[2].line })
    assert.is_truthy(problems[2].text:find("attempt to index local 'x'", 1, true))
    assert.is_nil(result)
  end)

  it("ends when the function ends", function()
    check.with_collection(error)
    assert.is_false(check.is_collecting())
    assert.has_error(function()
      check.problem("x")
    end)
  end)

  it("finds nothing wrong with a job that is right", function()
    assert.same({}, (check.with_collection(function()
      return run('local job = sw.job("a") job:source("s", sw.from.stdin()):print() return job')
    end)))
  end)
end)

describe("swlua.check.rule.duration", function()
  for text, ms in pairs({ ["250ms"] = 250, ["10s"] = 10000, ["5m"] = 300000, ["1h"] = 3600000, ["2d"] = 172800000,
    ["0s"] = 0, ["1.5s"] = 1500 }) do
    it("reads " .. text, function()
      assert.equal(ms, check.rule.duration(text))
    end)
  end

  for _, text in ipairs({ "", "10", "s", "-1s", "10 s", "10sec", "1m30s", "0.5ms", ".5s", 10 }) do
    it("refuses " .. tostring(text), function()
      local ms, expected = check.rule.duration(text)
      assert.is_nil(ms)
      assert.is_string(expected)
    end)
  end
end)

describe("swlua.check.nearest", function()
  local names = { "checkpoint", "delivery", "parallelism", "queue" }
  for given, near in pairs({ paralelism = "parallelism", Queue = "queue", delivrey = "delivery" }) do
    it("finds " .. near .. " for " .. given, function()
      assert.equal(near, check.nearest(given, names))
    end)
  end

  it("finds nothing for what is far from all, or no text", function()
    assert.is_nil(check.nearest("window", names))
    assert.is_nil(check.nearest(5, names))
    assert.is_nil(check.nearest(("q"):rep(100), names))
  end)
end)
