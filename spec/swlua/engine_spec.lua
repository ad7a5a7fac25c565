local support = require("spec.e2e.support")
local sw = require("swlua")

local function nothing() end

local function has(text, part)
  assert.is_truthy(text:find(part, 1, true), ("no %q in:\n%s"):format(part, text))
end

describe("a control item", function()
  --- A graph with fan-out, fan-in, and parallel channels.
  local function open(seed)
    return sw.test(function()
      local job = sw.job("control", { parallelism = 3 })
      local a = job:source("a", sw.from.generator(nothing))
      local b = job:source("b", sw.from.generator(nothing))
      local left = sw.union(a, b):key_by("n"):map("left", function(event) return event end)
      left:shuffle():map("deal", function(event) return event end):to("dealt", sw.to.null())
      sw.union(left, a):global():map("meet", function(event) return event end):to("met", sw.to.null())
      return job
    end, { seed = seed })
  end

  it("goes through every channel and is acted on once by every task", function()
    for seed = 1, 10 do
      local t = open(seed)
      for id = 1, 3 do
        assert.equal(id, t.sim:control())
        for n = 1, 20 do t:push(n % 2 == 0 and "a" or "b", { n = n }) end
        local answers, tasks = t.sim:answers()
        assert.equal(tasks, answers)
        assert.is_true(tasks > 5)
      end
      assert.equal(60, #t:results("dealt"))
      assert.equal(90, #t:results("met"))
      t:close()
    end
  end)

  it("is not answered before it has come by all inputs", function()
    local t = open(1)
    local _, tasks = t.sim:answers()
    t.sim:control()
    assert.equal(0, (t.sim:answers()))
    t:push("a", { n = 1 })
    local answers = t.sim:answers()
    assert.equal(tasks, answers)
  end)
end)

describe("the engine", function()
  local dir
  before_each(function() dir = support.folder() end)
  after_each(function() dir:remove() end)

  --- Runs a job.lua: `top` stands at its top, `operator` is what its two instances do with each of the events 1 to 4.
  local function run(top, operator, arguments)
    dir:write("job.lua", ([[
local sw = require "swlua"
%s
local job = sw.job("engine")
job:source("numbers", sw.from.generator(function(i) return { n = i } end, { count = 4 })):shuffle()
  :flat_map("body", function(event, emit)
    %s
  end, { parallelism = 2, on_error = sw.args.policy or "fail" })
  :to("results", sw.to.file("results.jsonl"))
return job
]]):format(top, operator))
    return dir:swlua("job.lua --workers 2 " .. (arguments or ""))
  end

  describe("executes the script once per worker", function()
    it("and says so when two executions differ, with where they part", function()
      local result = run([[
local path = "executions"
local file = io.open(path, "a")
file:write("x")
local executions = file:seek()
file:close()
local name = "numbers " .. executions]], "emit(event)")
      assert.equal(0, result.status, result.err)
      dir:write("job.lua", dir:read("job.lua"):gsub('"numbers"', "name"))
      os.remove(dir.path .. "/executions")
      result = dir:swlua("job.lua --workers 2")
      assert.equal(3, result.status)
      has(result.err, "the script built two different jobs: it is executed once per worker")
      has(result.err, "numbers 1")
      has(result.err, "numbers 2")
      has(result.err, "job.lua")
    end)

    it("and instances on different workers share nothing", function()
      local result = run("local count = 0", "count = count + 1; emit({ count = count })")
      assert.equal(0, result.status, result.err)
      for count in dir:read("results.jsonl"):gmatch('"count":(%d+)') do assert.is_true(tonumber(count) <= 4) end
    end)
  end)

  describe("makes globals read-only after load", function()
    it("an assignment while the job runs is an error with the line", function()
      local result = run("total = 0", "undeclared = 1")
      assert.equal(1, result.status)
      has(result.err, "job.lua:6: global 'undeclared' is assigned while the job runs; globals are read-only after load")
    end)

    it("also of one that the script set while it was loaded", function()
      local result = run("total = 0", "total = total + 1 emit({ total = total })")
      assert.equal(1, result.status)
      has(result.err, "job.lua:6: global 'total' is assigned while the job runs")
    end)

    it("reading them is as ever", function()
      local result = run("factor = 10", "emit({ n = event.n * factor, none = missing })")
      assert.equal(0, result.status, result.err)
      local _, lines = dir:read("results.jsonl"):gsub('{"n":%d0}\n', "")
      assert.equal(4, lines)
    end)
  end)

  describe("requires modules", function()
    it("from the script's folder first, from wherever it is started", function()
      dir:shell("mkdir -p elsewhere parts/init_dir")
      dir:write("helper.lua", "return { add = function(n) return n + 100 end }")
      dir:write("parts/deep.lua", "return { name = ... }")
      dir:write("parts/init_dir/init.lua", "return 'init'")
      local result = run([[
local helper, deep, init = require "helper", require "parts.deep", require "parts.init_dir"]],
        "emit({ n = helper.add(event.n), name = deep.name, init = init })")
      assert.equal(0, result.status, result.err)
      has(dir:read("results.jsonl"), '{"init":"init","n":101,"name":"parts.deep"}')
      result = dir:shell('cd elsewhere && "$swlua" ../job.lua --workers 2 && cat results.jsonl')
      assert.equal(0, result.status, result.err)
      has(result.out, '"n":104')
    end)

    it("and says with the script's line which one is missing", function()
      local result = run('local helper = require "no_such_module"', "emit(event)")
      assert.equal(3, result.status)
      has(result.err, "no_such_module")
      has(result.err, "job.lua:2")
    end)
  end)

  describe("hands on sw.args", function()
    it("as strings, or as numbers where they parse as one, in every Lua state", function()
      local result = run("local a = sw.args", "emit({ s = a.s, n = a.n, x = a.x, kind = type(a.n), none = a.none })",
        "--set s=text --set n=5.5 --set x=0x10")
      assert.equal(0, result.status, result.err)
      local _, lines = dir:read("results.jsonl"):gsub('{"kind":"number","n":5.5,"s":"text","x":16}\n', "")
      assert.equal(4, lines)
    end)

    it("read-only", function()
      local result = run("sw.args.n = 1", "emit(event)")
      assert.equal(3, result.status)
      has(result.err, "job.lua:2: sw.args.n: arguments are read-only, give them with --set")
    end)

    it("in tests as given", function()
      run("local n = sw.args.n", "emit({ n = n })")
      local t = sw.test(dir.path .. "/job.lua", { args = { n = 7 } })
      t:push("numbers", { n = 1 })
      assert.same({ { n = 7 } }, t:results("results"))
    end)
  end)

  describe("warns", function()
    it("of a component that reaches no sink, with its line, and runs", function()
      dir:write("loose.lua", [[
local sw = require "swlua"
local job = sw.job("loose")
local numbers = job:source("numbers", sw.from.generator(function(i) return { n = i } end, { count = 4 }))
numbers:map("loose end", function(event) return event end)
numbers:to("results", sw.to.file("results.jsonl"))
return job
]])
      local result = dir:swlua("loose.lua --report report.json")
      assert.equal(0, result.status)
      has(result.err, 'loose.lua:4: component "loose end": what it emits reaches no sink')
      has(dir:read("report.json"), '"unread":4')
    end)

    it("of arguments that the script never reads", function()
      has(run("", "emit(event)", "--set polciy=skip").err, "--set polciy: the script never reads sw.args.polciy")
    end)
  end)

  it("ends with 1 when setup_instance raises, and names component and line", function()
    dir:write("setup.lua", [[
local sw = require "swlua"
local job = sw.job("setup")
job:source("numbers", sw.from.generator(function(i) return { n = i } end, { count = 4 })):apply("broken", {
  setup_instance = function() error("no table today") end,
  apply = function() end,
}):to("results", sw.to.null())
return job
]])
    local result = dir:swlua("setup.lua --workers 2")
    assert.equal(1, result.status)
    has(result.err, "setup/broken#0: setup_instance: setup.lua:4: no table today")
  end)

  it("calls close of every operator, sink and source once at the end", function()
    dir:write("close.lua", [[
local sw = require "swlua"
local job = sw.job("close")
local function part(name, more)
  more.close = function() print("closed " .. name) end
  return more
end
job:source("from", part("source", {
    setup_instance = function(self) self.n = 0 end,
    get_events = function(self, out)
      if self.n == 3 then return "done" end
      self.n = self.n + 1
      out:emit({ n = self.n })
    end,
  }))
  :apply("op", part("operator", { apply = function(self, event, out) out:emit(event) end }))
  :to("sink", part("sink", { apply = function(self, event) print("row " .. event.n) end }))
return job
]])
    assert.same({ status = 0, out = "row 1\nrow 2\nrow 3\nclosed source\nclosed operator\nclosed sink\n", err = "" },
      dir:swlua("close.lua --workers 1"))
  end)
end)
