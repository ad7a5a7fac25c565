local json = require("cjson")
local support = require("spec.e2e.support")

local COUNT = [[
local sw = require "swlua"
local job = sw.job("count")
local numbers = job:source("numbers", sw.from.generator(function(i) return { n = i, kind = i % 2 } end,
  { count = sw.args.count or 5 }))
numbers:key_by("kind"):map("double", function(event) return { n = event.n * 2 } end)
  :to("results", sw.to.file("results.jsonl"))
return job
]]

local ENDLESS = [[
local sw = require "swlua"
local job = sw.job("endless")
job:source("numbers", sw.from.generator(function(i) return { n = i } end), { rate = 1000 }):print()
return job
]]

local STUCK = [[
local sw = require "swlua"
local job = sw.job("stuck")
job:source("numbers", sw.from.generator(function(i) return { n = i } end)):map("never", function()
  io.write("ready\n")
  io.flush()
  while true do end
end):to("nowhere", sw.to.null())
return job
]]

local FAILING = [[
local sw = require "swlua"
local job = sw.job("failing", { on_error = "fail" })
job:source("numbers", sw.from.generator(function(i) return { n = i } end, { count = 9 })):map("broken", function(event)
  if event.n == 5 then error("five is too much") end
  return event
end):to("nowhere", sw.to.null())
return job
]]

describe("the swlua program", function()
  local dir
  before_each(function()
    dir = support.folder()
    dir:write("count.lua", COUNT)
  end)
  after_each(function() dir:remove() end)

  local function has(text, part)
    assert.is_truthy(text:find(part, 1, true), ("no %q in:\n%s"):format(part, text))
  end

  --- The result of a run with this status that says nothing on standard output.
  local function refused(arguments, status, text)
    local result = dir:swlua(arguments)
    has(result.err, text)
    assert.equal(status, result.status)
    assert.equal("", result.out)
  end

  describe("run", function()
    it("runs a job to the end of its input, and says nothing where nobody watches", function()
      assert.are.same({ status = 0, out = "", err = "" }, dir:swlua("run count.lua"))
      assert.equal('{"n":10}\n{"n":2}\n{"n":4}\n{"n":6}\n{"n":8}\n', dir:shell("LC_ALL=C sort results.jsonl").out)
    end)

    it("is what a script alone means, with options before or behind it", function()
      assert.equal(0, dir:swlua("count.lua --set count=2").status)
      assert.equal('{"n":2}\n{"n":4}\n', dir:read("results.jsonl"))
      assert.equal(0, dir:swlua("--set count=1 count.lua").status)
      assert.equal('{"n":2}\n', dir:read("results.jsonl"))
    end)

    it("hands on what stands behind -- and behind the script's name", function()
      dir:write("arguments.lua", "print(arg[1], ...)\n" .. COUNT)
      has(dir:swlua("run arguments.lua --workers 1 -- --seed x").out, "--seed\t--seed\tx\n")
      has(dir:swlua("arguments.lua --workers 1 one two").out, "one\tone\ttwo\n")
    end)

    it("lets options override the job's, and names the ones that are wrong", function()
      local report = dir:swlua("count.lua --parallelism double=3 --report report.json")
      assert.equal(0, report.status)
      refused("count.lua --parallelism duoble=3", 3, "duoble")
      refused("count.lua --parallelism 0", 2, 'option "--parallelism": expected a whole number from 1')
      refused("count.lua --delivery twice", 2, '"at-most-once", "at-least-once", "exactly-once"')
      refused("count.lua --set count", 2, "expected NAME=VALUE")
      refused("count.lua --workers many", 2, "expected a whole number")
      refused("count.lua --checkpoint-interval 5", 2, "duration")
    end)

    it("warns of a --set that the script never reads", function()
      local result = dir:swlua("count.lua --set cuont=3")
      has(result.err, "swlua: warning: --set cuont")
      assert.equal(0, result.status)
    end)

    it("takes the latest checkpoint or none, and knows no other", function()
      assert.equal(0, dir:swlua("count.lua --from latest").status)
      assert.equal(0, dir:swlua("count.lua --from none").status)
      refused("count.lua --from 7", 4, 'no checkpoint "7"')
    end)

    it("says on a line of its own how it went, when asked for plain progress", function()
      has(dir:swlua("count.lua --progress plain").err, "swlua: count finished: 5 events in ")
    end)

    it("ends with 1 when the job fails, and says which component failed and where", function()
      dir:write("failing.lua", FAILING)
      refused("failing.lua", 1, "swlua: failing failed: failing/broken#0: failing.lua:4: five is too much")
    end)

    it("ends with 3 when the script is wrong or is not there", function()
      dir:write("syntax.lua", "local x = = 1\n")
      refused("syntax.lua", 3, "syntax.lua:1:")
      refused("nowhere.lua", 3, "nowhere.lua")
      refused("run .", 3, "directory")
    end)

    it("gives the same output twice in simulation with one seed", function()
      assert.equal(0, dir:swlua("count.lua --sim --seed 7 --parallelism 3 --set count=200").status)
      local first = dir:read("results.jsonl")
      assert.equal(0, dir:swlua("count.lua --sim --seed 7 --parallelism 3 --set count=200").status)
      assert.equal(first, dir:read("results.jsonl"))
    end)

    it("fails when standard output cannot take what the script prints", function()
      dir:write("print.lua", "print('hello')\n" .. COUNT)
      local result = dir:shell('"$swlua" print.lua --workers 1 >/dev/full')
      has(result.err, "cannot write standard output")
      assert.equal(1, result.status)
    end)
  end)

  describe("--report", function()
    local function report_of(arguments)
      dir:swlua(arguments .. " --report report.json")
      return json.decode(dir:read("report.json"))
    end

    it("has the shape and the counts that were promised", function()
      local report = report_of("count.lua --parallelism double=2")
      assert.equal("count", report.job)
      assert.equal("finished", report.status)
      assert.equal(json.null, report.restored_from)
      assert.equal(0, report.restarts)
      local counters = report.components.double
      assert.equal(5, counters["in"])
      assert.equal(5, counters.out)
      for name in ("late dropped malformed errors dead_letters unread acked replayed"):gmatch("%S+") do
        assert.equal(0, counters[name], name)
      end
      assert.is_true(counters.busy_ratio >= 0 and counters.busy_ratio <= 1)
      assert.is_number(counters.backpressured_ms)
      assert.equal(5, report.components.numbers.out)
      assert.equal(5, report.components.results["in"])
      assert.are.same({ completed = 0, failed = 0, last_id = json.null, last_bytes = 0, p50_ms = json.null,
        p99_ms = json.null }, report.checkpoints)
      assert.are.same({ episodes = 0, flips_per_minute = 0 }, report.backpressure)
      assert.is_truthy(report.latency_us.max >= report.latency_us.p50)
      assert.is_true(report.peak_rss_bytes > 1000000)
    end)

    it("says of a failed job that it failed", function()
      dir:write("failing.lua", FAILING)
      assert.equal("failed", report_of("failing.lua").status)
      local unloaded = report_of("nowhere.lua")
      assert.equal("failed", unloaded.status)
      assert.equal(json.null, unloaded.job)
    end)

    it("is refused before the job runs when it cannot be written", function()
      refused("count.lua --report nowhere/report.json", 2, "nowhere/report.json")
      refused("count.lua --report .", 2, "directory")
      assert.is_nil(dir:read("results.jsonl"))
    end)

    it("goes through a link in place and leaves nothing else behind", function()
      assert.equal(0, dir:shell('ln -s target link && "$swlua" count.lua --report link && test -L link').status)
      assert.equal("count", json.decode(dir:read("target")).job)
      assert.are.same({ "count.lua", "link", "results.jsonl", "target" }, dir:list())
    end)

    it("is written to standard error for -", function()
      assert.equal("count", json.decode(dir:swlua("count.lua --report -").err).job)
    end)
  end)

  describe("a signal", function()
    -- Starts $1 with its output in a pipe, and goes on when its first line has come.
    local START = 'mkfifo pipe; "$swlua" %s >pipe 2>err & exec 3<pipe; read -r line <&3\n'

    for _, name in ipairs({ "INT", "TERM" }) do
      it("SIG" .. name .. " stops the sources, finishes what is in flight and ends with 0", function()
        dir:write("endless.lua", ENDLESS)
        local result = dir:shell(START:format("endless.lua --report report.json")
          .. "kill -" .. name .. " $!; cat <&3 >rest; wait $!")
        has(dir:read("err"), "swlua: stopping")
        has(dir:read("err"), "swlua: endless stopped: ")
        assert.equal(0, result.status)
        local report = json.decode(dir:read("report.json"))
        assert.equal("stopped", report.status)
        local _, lines = dir:read("rest"):gsub("\n", "")
        assert.equal(report.components.numbers.out, lines + 1)
      end)
    end

    it("that comes again ends the program at once with 130", function()
      dir:write("stuck.lua", STUCK)
      local result = dir:shell(START:format("stuck.lua")
        .. "kill -INT $!; until grep -q stopping err; do :; done; kill -INT $!; wait $!")
      has(dir:read("err"), "stopped at once")
      assert.equal(130, result.status)
    end)
  end)

  describe("usage", function()
    it("that is wrong ends with 2, names what was meant and where help is", function()
      refused("", 2, "Try: swlua --help")
      refused("chekc count.lua", 2, 'did you mean "check"?')
      refused("run", 2, "Try: swlua run --help")
      refused("count.lua --reprot x", 2, 'unknown option "--reprot"; did you mean "--report"?')
      refused("count.lua --seed", 2, 'option "--seed" needs a value')
      refused("count.lua --sim=1", 2, 'option "--sim" takes no value')
      refused("graph count.lua --format svg", 2, '"text", "json", "mermaid", "dot"')
    end)

    for _, option in ipairs({ "http :80", "ui", "watch", "trial 1s", "state-memory 1MB" }) do
      it("refuses --" .. option .. " as not available", function()
        local name = option:match("^%S+")
        refused("count.lua --" .. option, 2, ('option "--%s" is not available in this version'):format(name))
      end)
    end

    it("is told by --help, of the program and of each command", function()
      local all = dir:swlua("--help")
      assert.equal(0, all.status)
      for _, name in ipairs({ "run", "check", "graph", "test", "new", "help" }) do
        has(all.out, "\n  " .. name)
        local help = dir:swlua(name .. " --help")
        has(help.out, "usage: swlua " .. name)
        assert.equal(0, help.status)
        assert.equal("", help.err)
      end
      has(dir:swlua("help graph").out, "--format")
    end)

    it("has a version", function()
      local version = dir:swlua("--version")
      assert.equal(0, version.status)
      assert.is_truthy(version.out:match("^swlua %d+%.%d+%.%d+\n$"))
    end)
  end)

  describe("check", function()
    it("says ok and runs nothing", function()
      assert.are.same({ status = 0, out = "ok: count, 3 components\n", err = "" }, dir:swlua("check count.lua"))
      assert.is_nil(dir:read("results.jsonl"))
    end)

    it("prints every problem with file and line, and ends with 3", function()
      dir:write("wrong.lua", [[
local sw = require "swlua"
local job = sw.job("wrong", { paralelism = 2 })
local numbers = job:source("numbers", sw.from.generator(function() end))
numbers:map("twice", 4)
numbers:map("twice", function() end):to("nowhere", sw.to.null())
return job
]])
      refused("check wrong.lua", 3, 'wrong.lua:2: ')
      refused("check wrong.lua", 3, 'wrong.lua:4: ')
      refused("check wrong.lua", 3, 'wrong.lua:5: ')
    end)

    it("ends with 3 for a script that does not compile or is not there", function()
      dir:write("syntax.lua", "local x = = 1\n")
      refused("check syntax.lua", 3, "syntax.lua:1:")
      refused("check nowhere.lua", 3, "nowhere.lua")
    end)
  end)

  describe("graph", function()
    it("tells components, instances and groupings as text", function()
      local result = dir:swlua("graph count.lua --parallelism double=2")
      assert.equal(0, result.status)
      has(result.out, "count: 3 components")
      has(result.out, "double   operator  2 instances")
      has(result.out, "    from numbers, by key kind\n")
    end)

    it("gives the same as JSON", function()
      local graph = json.decode(dir:swlua("graph --format json count.lua --parallelism double=2").out)
      assert.equal("count", graph.job)
      local double = graph.components[2]
      assert.are.same({ "double", "operator", 2 }, { double.name, double.kind, double.parallelism })
      local input = { from = "numbers", output = "default", grouping = "key", fields = { "kind" }, fused = false }
      assert.are.same({ input }, double.inputs)
      assert.are.same({ "numbers" }, graph.tasks[1].components)
    end)

    it("draws it for Mermaid and for Graphviz", function()
      has(dir:swlua("graph --format mermaid count.lua").out, '-->|"by key kind"| c1')
      has(dir:swlua("graph --format dot count.lua").out, 'c0 -> c1 [label="by key kind"];')
    end)
  end)

  describe("test", function()
    it("runs specs with the engine at hand, and ends with 0 when they pass", function()
      dir:write("one_spec.lua", 'it("has the engine", function() assert.is_function(require("swlua").job) end)')
      local result = dir:swlua("test -o TAP one_spec.lua")
      has(result.out, "ok 1 - has the engine")
      assert.equal(0, result.status)
    end)

    it("ends with 1 when one fails", function()
      dir:write("one_spec.lua", 'it("fails", function() assert.equal(1, 2) end)')
      local result = dir:swlua("test -o TAP one_spec.lua")
      has(result.out, "not ok 1 - fails")
      assert.equal(1, result.status)
    end)

    it("wants to know which", function()
      refused("test", 2, "which specs?")
    end)
  end)

  describe("new", function()
    it("writes a job that runs and a spec that passes, and replaces nothing", function()
      assert.equal(0, dir:swlua("new clicks").status)
      local run = dir:swlua("clicks.lua")
      has(run.out, '{"n":4,"word":"to"}')
      assert.are.same({ 0, "" }, { run.status, run.err })
      local test = dir:swlua("test -o TAP clicks_spec.lua")
      has(test.out, "ok 1 - clicks counts each short word")
      assert.equal(0, test.status)
      refused("new clicks", 2, "clicks.lua exists already")
      refused("new ../clicks", 2, "is no name")
    end)
  end)
end)
