-- Runs over files and pipes, as whole programs.
local json = require("cjson")
local support = require("spec.e2e.support")

describe("a run over files and pipes", function()
  local dir
  before_each(function() dir = support.folder() end)
  after_each(function() dir:remove() end)

  local function job(source, rest)
    dir:write("job.lua", ([[
local sw = require "swlua"
local job = sw.job("job")
job:source("in", %s, { parallelism = sw.args.readers })%s
return job
]]):format(source, rest or ':to("out", sw.to.stdout())'))
  end
  --- Runs job.lua; standard output and the report.
  local function run(arguments, before)
    local result = dir:shell((before or "") .. ' "$swlua" job.lua --progress off --report report.json '
      .. (arguments or ""))
    assert.are.same({ 0, "" }, { result.status, result.err })
    return result.out, json.decode(dir:read("report.json"))
  end
  local function sorted(text)
    local lines = {}
    for line in text:gmatch("[^\n]+") do lines[#lines + 1] = line end
    table.sort(lines)
    return lines
  end

  it("reads JSON lines with every line end, blank lines and a last line without one", function()
    dir:write("input", '{"a":1}\r\n\n  \n{"a":2}\n{"a":3}')
    job('sw.from.file("input")')
    assert.equal('{"a":1}\n{"a":2}\n{"a":3}\n', (run()))
  end)

  it("gives back what JSON held, exactly", function()
    local text = '{"array":[],"big":9223372036854775807,"deep":{"a":[1,null,{"b":"\195\188"}]},"f":0.1,"no":false,'
      .. '"object":{},"s":"a\\"\\\\\\n"}\n'
    dir:write("input", text)
    job('sw.from.file("input")', ':shuffle():map("same", function(event) return event end, { parallelism = 2 })'
      .. ':to("out", sw.to.stdout())')
    assert.equal(text, (run("--workers 2")))
  end)

  it("takes the watermark from the times that a function gives, as from a field", function()
    dir:write("input", '{"t":10}\n{"t":30}\n{"t":20}\n')
    local watermarks = {}
    for i, time in ipairs({ '"t"', "function(event) return event.t end" }) do
      dir:write("job.lua", ([[
local sw = require "swlua"
local job = sw.job("job")
job:source("in", sw.from.file("input"), { time = %s })
  :apply("show", function(event, out) out:emit({ t = event.t, wm = out.watermark }) end)
  :to("out", sw.to.stdout())
return job
]]):format(time))
      watermarks[i] = run()
    end
    assert.equal('{"t":30,"wm":10}\n{"t":20,"wm":30}\n', watermarks[1]:match("\n(.*)"))
    assert.equal(watermarks[1], watermarks[2])
  end)

  it("shares the files of a pattern out over its instances", function()
    for i = 1, 5 do dir:write("part-" .. i, ("p%d a\np%d b\n"):format(i, i)) end
    job('sw.from.file("part-*", { format = "lines" })')
    for _, readers in ipairs({ 1, 2, 8 }) do
      local out, report = run(("--workers 2 --set readers=%d"):format(readers))
      assert.equal(10, report.components["in"].out)
      assert.equal(10, #sorted(out))
      assert.equal('{"line":"p5 b"}', sorted(out)[10])
    end
  end)

  it("reads compressed files by their name", function()
    job('sw.from.file("n.gz", { format = "lines" })')
    local out = run("", "seq 1000 | gzip >n.gz;")
    assert.equal(1000, #sorted(out))
    dir:shell("head -c 500 n.gz >cut.gz")
    job('sw.from.file("cut.gz", { format = "lines" })')
    local result = dir:swlua("job.lua")
    assert.equal(1, result.status)
    assert.is_truthy(result.err:find("cut.gz", 1, true), result.err)
  end)

  it("writes an empty file where no event comes, and replaces what was there", function()
    dir:write("input", "")
    dir:write("out", "old\n")
    job('sw.from.file("input")', ':to("out", sw.to.file("out"))')
    run()
    assert.equal("", dir:read("out"))
  end)

  it("writes lines as they came", function()
    dir:write("input", "b\n\na\n")
    job('sw.from.file("input", { format = "lines" })', ':to("out", sw.to.file("out", { format = "lines" }))')
    run()
    assert.equal("b\n\na\n", dir:read("out"))
  end)

  it("writes a file for each instance where its path says so", function()
    dir:shell("seq 100 >input")
    job('sw.from.file("input", { format = "lines" })',
      ':shuffle():to("out", sw.to.file("out-{instance}", { format = "lines" }), { parallelism = 2 })')
    run("--workers 2")
    assert.equal(50, #sorted(dir:read("out-0")))
    assert.equal(50, #sorted(dir:read("out-1")))
  end)

  it("passes on what comes by a pipe before the pipe ends", function()
    job('sw.from.stdin({ format = "lines" })', ':print()')
    local result = dir:shell([[mkfifo in out; "$swlua" job.lua <in >out & exec 4>in 3<out
      echo first >&4; read -r line <&3; echo "$line"
      echo second >&4; read -r line <&3; echo "$line"; exec 4>&-; cat <&3; wait $!]])
    assert.are.same({ 0, '{"line":"first"}\n{"line":"second"}\n' }, { result.status, result.out })
  end)

  for _, signal in ipairs({ "INT", "TERM" }) do
    it("finishes what an endless pipe has brought when SIG" .. signal .. " comes", function()
      job('sw.from.stdin({ format = "lines" })', [[:key_by("line")
        :apply("count", { close = function() io.stderr:write("closed\n") end, apply = function(_, _, out, state)
          state.n = (state.n or 0) + 1
          out:emit({ n = state.n }) end }, { parallelism = 2 }):to("out", sw.to.file("out"))]])
      local result = dir:shell(([[mkfifo in; yes >in 2>/dev/null &
        "$swlua" job.lua --workers 2 --report report.json <in &
        until [ -s out ]; do :; done; kill -%s $!; wait $!]]):format(signal))
      assert.equal(0, result.status)
      assert.is_truthy(result.err:find("swlua: stopping", 1, true), result.err)
      assert.is_truthy(result.err:find("swlua: job stopped: ", 1, true), result.err)
      assert.equal(2, select(2, result.err:gsub("closed\n", "")))
      local report = json.decode(dir:read("report.json"))
      local events = report.components["in"].out
      assert.equal("stopped", report.status)
      assert.is_true(events > 0)
      assert.equal(events, report.components.count["in"])
      assert.equal(events, select(2, dir:read("out"):gsub("\n", "")))
      assert.is_truthy(dir:read("out"):find(('{"n":%d}\n'):format(events), 1, true))
    end)
  end

  it("stops while it waits for a pipe that brings nothing", function()
    job('sw.from.stdin({ format = "lines" })', ':print()')
    local result = dir:shell([[mkfifo in out; "$swlua" job.lua <in >out & exec 4>in 3<out
      echo x >&4; read -r line <&3; kill -TERM $!; wait $!]])
    assert.equal(0, result.status)
    assert.is_truthy(result.err:find("swlua: job stopped: 1 events", 1, true), result.err)
  end)

  it("counts a million events exactly by every grouping, in two instances on two workers", function()
    dir:write("job.lua", [[
local sw = require "swlua"
local job = sw.job("job", { parallelism = 2 })
local numbers = job:source("in",
  sw.from.generator(function(i) return { n = i, key = i % 1000 } end, { count = 1000000 }))
local function count(name, stream)
  stream:filter(name, function() return false end):to(name .. "-end", sw.to.null())
end
count("forward", numbers)
count("shuffle", numbers:shuffle())
count("global", numbers:global())
count("broadcast", numbers:broadcast())
count("partition", numbers:partition(function(event, n) return event.n % n end))
numbers:key_by("key"):apply("keyed", function(event, out, state)
  state.n = (state.n or 0) + 1
  if state.n == 1000 then out:emit({ key = event.key, n = state.n }) end
end):to("out", sw.to.stdout())
return job
]])
    local out, report = run("--workers 2")
    local seen = {}
    for _, line in ipairs(sorted(out)) do
      assert.equal(1000, json.decode(line).n)
      seen[json.decode(line).key] = true
    end
    for key = 0, 999 do assert.is_true(seen[key], key) end
    for _, name in ipairs({ "forward", "shuffle", "global", "partition", "keyed" }) do
      assert.equal(1000000, report.components[name]["in"], name)
    end
    assert.equal(2000000, report.components.broadcast["in"])
    assert.is_true(report.peak_rss_bytes < 40000000, report.peak_rss_bytes)
  end)

  it("writes what comes by several ways through one task in the order in which it came", function()
    dir:write("input", ('{"a":1}\n'):rep(1000))
    dir:write("job.lua", [[
local sw = require "swlua"
local job = sw.job("job")
local input = job:source("in", sw.from.file("input"))
local n = { x = 0, y = 0 }
local function numbered(way)
  return function(_, out)
    n[way] = n[way] + 1
    out:emit({ way = way, n = n[way] })
  end
end
local row = sw.record({ way = "string", n = "i64" })
sw.union(input:apply("x", numbered("x")), input:apply("y", numbered("y"), { schema = row }))
  :to("out", sw.to.stdout())
return job
]])
    local ways, out = {}, run()
    for way, n in out:gmatch('"way":"(.)","n":(%d+)') do ways[#ways + 1] = way .. n end
    for way, n in out:gmatch('"n":(%d+),"way":"(.)"') do ways[#ways + 1] = n .. way end
    assert.equal(2000, #ways)
    local line = {}
    for way in out:gmatch('"way":"(.)"') do line[#line + 1] = way end
    assert.equal(("xy"):rep(1000), table.concat(line))
  end)
end)
