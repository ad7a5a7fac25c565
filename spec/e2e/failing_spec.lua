-- Failing well: whatever goes wrong outside or in user code ends in a message and the right exit status (cli.md).
local json = require("cjson")
local support = require("spec.e2e.support")

local COPY = [[
local sw = require "swlua"
local job = sw.job("copy", { on_error = sw.args.on_error })
local input, output, format = sw.args.input, sw.args.output, sw.args.format
local events = job:source("in",
  input and sw.from.file(input, { format = format }) or sw.from.stdin({ format = format }))
events:to("out", output and sw.to.file(output) or sw.to.stdout())
if sw.args.malformed then events:output("malformed"):to("bad", sw.to.file(sw.args.malformed)) end
return job
]]

local GENERATE = [[
local sw = require "swlua"
local job = sw.job("job", %s)
local numbers = job:source("numbers", sw.from.generator(function(i) return { n = i } end, { count = %d }))
%s
return job
]]

describe("a run that fails", function()
  local dir
  before_each(function()
    dir = support.folder()
    dir:write("copy.lua", COPY)
    dir:write("one.jsonl", '{"a":1}\n')
  end)
  after_each(function() dir:remove() end)

  local function has(text, part)
    assert.is_truthy(text:find(part, 1, true), ("no %q in:\n%s"):format(part, text))
  end
  local function fails(result, status, text)
    has(result.err, text)
    assert.is_nil(result.err:find("swlua/internal", 1, true), result.err)
    assert.equal(status, result.status)
  end
  --- Writes job.lua: `numbers` of one field n go through what `body` adds.
  local function generate(options, count, body) dir:write("job.lua", GENERATE:format(options, count, body)) end
  local function report() return json.decode(dir:read("report.json")) end
  local function lines(text) return select(2, text:gsub("\n", "")) end

  describe("over files", function()
    for _, case in ipairs({
      { "is missing", "input=nowhere.jsonl", "copy/in#0: no file matches nowhere.jsonl" },
      { "is a pattern that nothing matches", "input=zz*.jsonl", "copy/in#0: no file matches zz*.jsonl" },
      { "is a directory", "input=.", "copy/in#0: . is a directory" },
      { "lies behind a file", "input=one.jsonl/x", "copy/in#0: no file matches one.jsonl/x" },
      { "cannot be read", "input=/proc/self/mem", "copy/in#0: cannot read /proc/self/mem: Input/output error" },
    }) do
      it("names the component and the input that " .. case[1], function()
        fails(dir:swlua("copy.lua --set " .. case[2]), 1, "swlua: copy failed: " .. case[3])
        fails(dir:swlua("copy.lua --sim --set " .. case[2]), 1, "swlua: copy failed: " .. case[3])
      end)
    end

    for _, case in ipairs({
      { "has no folder", "nowhere/o.jsonl", "copy/out#0: cannot create nowhere/o.jsonl: there is no folder nowhere" },
      { "is a directory", ".", "copy/out#0: . is a directory" },
      { "is on a full disk", "/dev/full", "cannot write /dev/full: No space left on device" },
    }) do
      it("names the output that " .. case[1], function()
        local result = dir:swlua("copy.lua --set input=one.jsonl --set output=" .. case[2])
        fails(result, 1, "swlua: copy failed: " .. case[3])
      end)
    end

    it("says that a file may not grow further", function()
      local result = dir:shell([[seq 100000 >n; ulimit -f 100
        "$swlua" copy.lua --set input=n --set format=lines --set output=o]])
      fails(result, 1, "swlua: copy failed: cannot write o: File too large")
    end)

    it("reports that it failed", function()
      dir:swlua("copy.lua --set input=nowhere.jsonl --report report.json")
      assert.equal("failed", report().status)
    end)
  end)

  describe("over standard input and output", function()
    it("says that standard output was closed by its reader, and is not killed by a signal", function()
      local result = dir:shell([[seq 200000 >n
        { "$swlua" copy.lua --set input=n --set format=lines; echo $? >status; } | head -1]])
      assert.equal('{"line":"1"}\n', result.out)
      has(result.err, "standard output was closed")
      assert.equal("1\n", dir:read("status"))
    end)

    it("says that there is no standard input, or output", function()
      fails(dir:shell('"$swlua" copy.lua <&-'), 1, "copy/in#0: cannot read standard input: Bad file descriptor")
      fails(dir:shell('"$swlua" copy.lua --set input=one.jsonl >&-'), 1,
        "cannot write standard output: Bad file descriptor")
    end)

    it("says that standard output is full", function()
      fails(dir:shell('"$swlua" copy.lua --set input=one.jsonl >/dev/full'), 1,
        "cannot write standard output: No space left on device")
    end)
  end)

  describe("in its script", function()
    local function wrong(text, message, traceback)
      dir:write("wrong.lua", text)
      local result = dir:swlua("wrong.lua")
      fails(result, 3, message)
      has(result.err, traceback or "")
    end

    it("ends with 3 and the line of what does not compile", function()
      wrong("local sw\nlocal x = = 1\n", "swlua: wrong.lua:2: unexpected symbol near '='")
    end)
    it("ends with 3, the line and a traceback of what is raised at load", function()
      wrong("local function deep() error('no luck') end\ndeep()\n", "swlua: wrong.lua:1: no luck", "wrong.lua:2: in ")
      wrong("error({ 1 })\n", "swlua: (error object is a table value)", "wrong.lua:1: in ")
    end)
    it("ends with 3 where no job is returned", function()
      wrong("local sw = require 'swlua'\n",
        "wrong.lua: the script must return its job (return job), it returned nothing")
    end)
  end)

  describe("in user code", function()
    it("names the component whose setup_instance raised, with its line", function()
      generate("{}", 3, [[numbers:apply("broken", { apply = function() end,
        setup_instance = function(_, instance) error("no setup of " .. instance.id) end }):to("out", sw.to.null())]])
      fails(dir:swlua("job.lua"), 1, "swlua: job failed: job/broken#0: setup_instance: job.lua:5: no setup of 0")
    end)

    it("takes an error in close as any other", function()
      local body = [[numbers:apply("broken", { apply = function(_, event, out) out:emit(event) end,
        close = function() error("will not close") end }):to("out", sw.to.stdout())]]
      generate('{ on_error = "fail" }', 2, body)
      fails(dir:swlua("job.lua"), 1, "swlua: job failed: job/broken#0: job.lua:5: will not close")
      generate('{ on_error = "skip" }', 2, body)
      local result = dir:swlua("job.lua --report report.json")
      assert.are.same({ 0, '{"n":1}\n{"n":2}\n' }, { result.status, result.out })
      has(result.err, "job/broken#0: job.lua:5: will not close")
      assert.equal(1, report().components.broken.errors)
    end)

    it("takes an error in a sink of its own as any other", function()
      local body = [[numbers:to("mine", { apply = function(_, event) if event.n == 2 then error("disk gone") end end })
        numbers:to("out", sw.to.stdout())]]
      generate("{}", 3, body)
      local result = dir:swlua("job.lua --state letters")
      assert.are.same({ 0, '{"n":1}\n{"n":2}\n{"n":3}\n' }, { result.status, result.out })
      local letter = json.decode(dir:read("letters/dead-letters.jsonl"))
      assert.are.same({ "mine", 0, { n = 2 } }, { letter.component, letter.instance, letter.event })
      generate('{ on_error = "fail" }', 3, body)
      fails(dir:swlua("job.lua"), 1, "swlua: job failed: job/mine#0: job.lua:4: disk gone")
    end)

    it("ends at once when one instance of many fails, and names it with line and traceback", function()
      generate('{ parallelism = 4, on_error = "fail" }', 1000000000, [[
        local function explode(event) local nothing; return nothing[event.n] end
        numbers:key_by("n"):map("busy", function(event) return event.n == 5000 and explode(event) or event end)
          :key_by("n"):to("out", sw.to.null())]])
      local result = dir:swlua("job.lua --workers 2")
      assert.is_truthy(
        result.err:match("swlua: job failed: job/busy#[0-3]: job.lua:4: attempt to index local 'nothing'"), result.err)
      has(result.err, "\nstack traceback:\n\tjob.lua:4: in function 'explode'\n\tjob.lua:5: in ")
      assert.equal(1, result.status)
    end)

    it("fails the job also from inside a callback that cannot wait", function()
      generate('{ on_error = "fail" }', 3, [[numbers:flat_map("words", function(event, emit)
        ("a b c"):gsub("%a", function(word) emit({ word = word }) end) end)
        :map("broken", function(event) error("no " .. event.word) end):to("out", sw.to.stdout())]])
      fails(dir:swlua("job.lua"), 1, "swlua: job failed: job/broken#0: job.lua:6: no a")
    end)
  end)

  describe("dead letters that nobody reads", function()
    local function set_aside(input)
      dir:write("letters.lua", [[
local sw = require "swlua"
local job = sw.job("letters")
job:source("in", sw.from.stdin({ format = "lines" })):map("broken", function(event) error("no " .. event.line) end)
  :to("out", sw.to.null())
return job
]])
      return dir:shell(("printf '%s' | \"$swlua\" letters.lua --state kept --report report.json"):format(input))
    end

    it("are appended to a file in the state directory", function()
      assert.equal(0, set_aside("a\\n").status)
      assert.equal(0, set_aside("b\\nc\\n").status)
      local letters = {}
      for line in dir:read("kept/dead-letters.jsonl"):gmatch("[^\n]+") do letters[#letters + 1] = json.decode(line) end
      assert.equal(3, #letters)
      local last = letters[3]
      assert.are.same({ "broken", 0, "letters.lua:3: no c", { line = "c" } },
        { last.component, last.instance, last.error, last.event })
      has(last.traceback, "letters.lua:3: in function")
      assert.equal(2, report().components.broken.dead_letters)
    end)

    it("hold also what JSON cannot", function()
      assert.equal(0, set_aside("\\377\\0z\\n").status)
      assert.equal("\239\191\189\0z", json.decode(dir:read("kept/dead-letters.jsonl")).event.line)
      generate("{}", 1, [[numbers:map("broken", function(event)
        event.nan, event.most = 0 / 0, { 1 / 0 }
        error("no") end):to("out", sw.to.null())]])
      assert.equal(0, dir:swlua("job.lua --state other").status)
      assert.are.same({ n = 1, nan = "nan", most = { "inf" } },
        json.decode(dir:read("other/dead-letters.jsonl")).event)
    end)

    it("that cannot be kept fail the job", function()
      dir:write("kept", "a file")
      fails(set_aside("a\\n"), 1,
        "swlua: letters failed: a dead letter was not kept: kept exists and is not a directory")
    end)
  end)

  describe("the watchdog", function()
    local STUCK = [[%s
      numbers:key_by("n"):map("stuck", function(event)
        while event.n == 500 do end
        return event end, { parallelism = 2 }):to("out", sw.to.null())]]

    for name, prefix in pairs({ ["compiled"] = "", ["interpreted"] = "jit.off()" }) do
      it("ends the process with 70 for a call that does not return, " .. name, function()
        generate('{ watchdog = "200ms" }', 1000, STUCK:format(prefix))
        local result = dir:swlua("job.lua --workers 2")
        assert.is_truthy(result.err:match("job/stuck#[01]: a call of its code in job.lua has not returned"), result.err)
        assert.equal(70, result.status)
      end)
    end

    it("lets calls run that each return in time", function()
      generate('{ watchdog = "500ms" }', 8, [[numbers:apply("busy", function(event, out)
        local began = out:now()
        while out:now() - began < 150 do end
        out:emit(event) end):to("out", sw.to.null())]])
      assert.equal(0, dir:swlua("job.lua").status)
    end)

    it("lets one call emit for longer, as long as it emits", function()
      generate('{ watchdog = "200ms" }', 1, [[numbers:apply("flood", function(_, out)
        local began = out:now()
        while out:now() - began < 600 do out:emit({ n = 1 }) end end):to("out", sw.to.null())]])
      assert.equal(0, dir:swlua("job.lua").status)
    end)

    it("waits with a call for whoever reads standard output", function()
      generate('{ watchdog = "200ms" }', 1, [[numbers:flat_map("flood", function(_, emit)
        for i = 1, 50000 do emit({ n = i }) end end):to("out", sw.to.stdout())]])
      -- The reader begins when the writer has been blocked for much longer than the watchdog allows a call.
      local result = dir:shell([[mkfifo pipe
        "$swlua" job.lua >pipe & exec 3<pipe; timeout 1 tail -f /dev/null; wc -l <&3; wait $!]])
      assert.are.same({ 0, "50000\n", "" }, { result.status, result.out, result.err })
    end)
  end)

  describe("input that is malformed", function()
    local function malformed(text, format)
      dir:write("input", text)
      local result = dir:swlua("copy.lua --set input=input --set output=out --set malformed=bad --report report.json"
        .. (format and " --set format=" .. format or ""))
      assert.equal(0, result.status)
      local bad = {}
      for line in dir:read("bad"):gmatch("[^\n]+") do bad[#bad + 1] = json.decode(line) end
      assert.equal(#bad, report().components["in"].malformed)
      return bad, result.err
    end

    it("goes to the output malformed with place and reason, and is counted", function()
      local bad, log = malformed('{"a":1}\nnonsense\n{"a":2}\n{"a":\n[1]\n')
      assert.are.same({ { "input:2", "nonsense" }, { "input:4", '{"a":' }, { "input:5", "[1]" } },
        { { bad[1].where, bad[1].raw }, { bad[2].where, bad[2].raw }, { bad[3].where, bad[3].raw } })
      for _, row in ipairs(bad) do assert.is_true(#row.error > 0) end
      has(log, "copy/in#0: malformed input at input:2: ")
      assert.equal('{"a":1}\n{"a":2}\n', dir:read("out"))
      assert.equal(2, report().components["in"].out)
    end)

    it("is counted where nobody reads the output", function()
      dir:write("input", 'nonsense\n{"a":1}\n')
      local result = dir:swlua("copy.lua --set input=input --report report.json")
      assert.are.same({ 0, '{"a":1}\n' }, { result.status, result.out })
      assert.equal(1, report().components["in"].malformed)
    end)

    it("may be no UTF-8, and is shown with U+FFFD", function()
      local bad = malformed('{"a":"\255\226\130\172"}\n{"a":"\195\188"}\n')
      assert.are.same({ raw = '{"a":"\239\191\189\226\130\172"}', error = "not valid UTF-8", where = "input:1" },
        bad[1])
      assert.equal('{"a":"\195\188"}\n', dir:read("out"))
    end)

    it("may hold NUL bytes, and a NUL that is escaped is none", function()
      local bad = malformed('{"a":"x\\u0000y"}\n{"a\0b":1}\n\0\n')
      assert.are.same({ { "input:2", '{"a\0b":1}' }, { "input:3", "\0" } },
        { { bad[1].where, bad[1].raw }, { bad[2].where, bad[2].raw } })
      assert.equal('{"a":"x\\u0000y"}\n', dir:read("out"))
      malformed("a\0b\n", "lines")
      assert.equal('{"line":"a\\u0000b"}\n', dir:read("out"))
    end)

    for _, format in ipairs({ "lines", "jsonl" }) do
      it("may be a line of 100 MB, which takes no memory, as " .. format, function()
        dir:shell([[{ printf '{"a":"'; head -c 100000000 /dev/zero | tr '\0' x; printf '"}\n{"a":2}\n'; } >big]])
        for _, run in ipairs({ "copy.lua --set input=big", "copy.lua <big" }) do
          local result = dir:swlua(run .. " --report report.json --set malformed=bad --set format=" .. format)
          assert.are.same({ 0, format == "lines" and '{"line":"{\\"a\\":2}"}\n' or '{"a":2}\n' },
            { result.status, result.out })
          assert.equal(1, report().components["in"].malformed)
          assert.is_true(report().peak_rss_bytes < 80000000, report().peak_rss_bytes)
          assert.is_true(#dir:read("bad") < 100000)
        end
      end)
    end
  end)

  it("sets aside an event that a sink's format cannot hold", function()
    dir:write("input", "\255\nok\n")
    local result = dir:swlua("copy.lua --set input=input --set format=lines --state kept")
    assert.are.same({ 0, '{"line":"ok"}\n' }, { result.status, result.out })
    has(dir:read("kept/dead-letters.jsonl"), '"error":"field \\"line\\": text that is not UTF-8 has no JSON form"')
    fails(dir:swlua("copy.lua --set input=input --set format=lines --set on_error=fail"), 1,
      'copy/out#0: field "line": text that is not UTF-8')
  end)

  it("rejects an event of a generator that has no time, and goes on", function()
    dir:write("timeless.lua", [[
local sw = require "swlua"
local job = sw.job("timeless")
job:source("in", sw.from.generator(function(i) return { n = i, ts = i ~= 2 and i or nil } end, { count = 3 }),
  { time = "ts" }):to("out", sw.to.stdout())
return job
]])
    local result = dir:swlua("timeless.lua --report report.json")
    assert.are.same({ 0, '{"n":1,"ts":1}\n{"n":3,"ts":3}\n' }, { result.status, result.out })
    assert.are.same({ 1, 2 }, { report().components["in"].malformed, report().components["in"].out })
  end)

  describe("under pressure", function()
    it("lets a callback that cannot wait emit into a full channel", function()
      generate('{ backpressure = { queue = 4 } }', 100, [[numbers:flat_map("words", function(event, emit)
        ("ab "):rep(100):gsub("%a+", function(word) emit({ word = word, n = event.n }) end) end)
        :key_by("word"):apply("count", function(event, out, state)
          state.n = (state.n or 0) + 1
          out:emit({ n = state.n }) end, { parallelism = 2 }):to("out", sw.to.stdout())]])
      local result = dir:swlua("job.lua --workers 2")
      assert.are.same({ 0, 10000, "" }, { result.status, lines(result.out), result.err })
      has(result.out, '{"n":10000}\n')
    end)

    it("keeps memory flat when one event makes a million for a slow reader", function()
      generate("{}", 1, [[numbers:flat_map("flood", function(_, emit)
        for i = 1, 1000000 do emit({ n = i, text = "twenty bytes of text" }) end end)
        :shuffle():map("same", function(event) return event end, { parallelism = 2 }):to("out", sw.to.stdout())]])
      local result = dir:shell([[mkfifo pipe
        "$swlua" job.lua --workers 2 --report report.json >pipe & exec 3<pipe
        timeout 0.5 tail -f /dev/null; wc -l <&3; wait $!]])
      assert.are.same({ 0, "1000000\n" }, { result.status, result.out })
      assert.is_true(report().peak_rss_bytes < 30000000, report().peak_rss_bytes)
    end)
  end)
end)

describe("a job that ends at its first error", function()
  for _, shape in ipairs({ "table", "record" }) do
    it(("has written what was emitted before it: %ss"):format(shape), function()
      local dir = support.folder()
      dir:write("job.lua", [[
        local sw = require("swlua")
        local row = sw.args.shape == "record" and sw.record({ n = "i64" }) or nil
        local job = sw.job("ends", { on_error = "fail" })
        job:source("numbers", sw.from.generator(function(i) return { n = i } end, { count = 1000 }), { schema = row })
          :map("upto", function(e)
            if e.n == 150 then error("here") end
            return { n = e.n }
          end, { schema = row })
          :to("out", sw.to.file("out.jsonl"))
        return job]])
      local run = dir:swlua("run job.lua --progress off --set shape=" .. shape)
      local rows = dir:read("out.jsonl")
      dir:remove()
      assert.equal(1, run.status, run.err)
      assert.equal(149, select(2, rows:gsub("\n", "")))
      assert.is_truthy(rows:find('{"n":149}\n$'))
    end)
  end
end)

describe("a field that a record lacks", function()
  -- Between functions of one task a checked table may stand for the record; it refuses the same.
  for what, case in pairs({
    ["is an error where it is read"] = { "{ n = e.n + e.nope }", "field 'nope' is not in the record" },
    ["is an error where it is emitted"] = { "{ n = e.n, nope = 1 }", "field 'nope' is not in the record" },
    ["is an error where it is set"] = { "rawequal(e, nil) or (function() e.nope = 1 end)() or e",
      "field 'nope' is not in the record" },
    ["has a type that is kept to"] = { "{ n = e.n + 0.5 }",
      "field 'n': expected an integer (i64), got a number (1.5)" },
  }) do
    it(what, function()
      local dir = support.folder()
      dir:write("job.lua", ([[
        local sw = require("swlua")
        local row = sw.record({ n = "i64", text = "string" })
        local job = sw.job("lacks", { on_error = "fail" })
        local numbers = sw.from.generator(function(i) return { n = i, text = "t" } end, { count = 10 })
        job:source("numbers", numbers, { schema = row })
          :filter("all", function(e) return e.text == "t" end)
          :map("look", function(e) return %s end, { schema = row })
          :to("out", sw.to.null())
        return job]]):format(case[1]))
      local run = dir:swlua("run job.lua --progress off")
      dir:remove()
      assert.equal(1, run.status, run.err)
      assert.is_truthy(run.err:find(case[2], 1, true), run.err)
    end)
  end

  it("leaves whole numbers beyond 2^53 as they are", function()
    local dir = support.folder()
    dir:write("job.lua", [[
      local sw = require("swlua")
      local row = sw.record({ n = "i64", f = "f64", b = "bool", t = "time" })
      local job = sw.job("wide")
      job:source("numbers", sw.from.generator(function(i)
          if i == 1 then return { n = 9007199254740993LL, f = 1, b = true } end
          return { n = 5LL, f = 2, t = i }
        end, { count = 2 }), { schema = row })
        :map("same", function(e) return { n = e.n, f = e.f, b = e.b, t = e.t } end, { schema = row })
        :map("again", function(e) return { n = e.n, f = e.f, b = e.b, t = e.t } end, { schema = row })
        :print()
      return job]])
    local run = dir:swlua("run job.lua --progress off")
    dir:remove()
    assert.equal('{"b":true,"f":1,"n":9007199254740993}\n{"f":2,"n":5,"t":2}\n', run.out, run.err)
  end)
end)
