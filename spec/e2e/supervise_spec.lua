-- The supervisor: what it restarts and what not, who dies with whom, and how it ends.
local json = require("cjson")
local support = require("spec.e2e.support")

-- A job of numbers; $body is Lua run for each event `e`. Restarts come at once unless `delay` is set.
local JOB = [[
local sw = require "swlua"
local job = sw.job("job", { watchdog = "200ms", on_error = sw.args.on_error, delivery = sw.args.delivery,
  restart = { attempts = sw.args.attempts or 3, delay = sw.args.delay or "1ms" } })
job:source("numbers", sw.from.generator(function(i) return { n = i } end, { count = 10 }))
  :map("work", function(e) %s
    return e end):to("out", sw.to.file("out"))
return job
]]

-- Copies lines, and so lives until its input ends.
local COPY = [[
local sw = require "swlua"
local job = sw.job("copy", { restart = { attempts = sw.args.attempts or 3, delay = sw.args.delay or "1ms" } })
job:source("in", sw.from.stdin({ format = "lines" })):to("out", sw.to.stdout({ format = "lines" }))
return job
]]

-- Starts COPY with its input from descriptor 3, and goes on when it has copied a line. $engine is its engine process.
local START = [[
gone() { [ ! -e /proc/$1 ] || grep -qs '^State:  Z' /proc/$1/status; }
mkfifo in; %s "$swlua" copy.lua %s <in >out 2>err & supervisor=$!
exec 3>in; echo first >&3; until [ -s out ]; do :; done
read -r engine </proc/$supervisor/task/$supervisor/children
]]

describe("the supervisor", function()
  local dir
  before_each(function()
    dir = support.folder()
    dir:write("copy.lua", COPY)
  end)
  after_each(function() dir:remove() end)

  local function has(text, part)
    assert.is_truthy(text:find(part, 1, true), ("no %q in:\n%s"):format(part, text))
  end
  local function lacks(text, part)
    assert.is_nil(text:find(part, 1, true), text)
  end
  local function count(text, part)
    return select(2, text:gsub(part:gsub("%p", "%%%0"), ""))
  end
  local function run(body, options)
    dir:write("job.lua", JOB:format(body))
    return dir:swlua("job.lua --report report.json " .. (options or ""))
  end
  local function copy(options, script, prefix) return dir:shell(START:format(prefix or "", options) .. script) end
  local function report() return json.decode(dir:read("report.json")) end

  describe("of an engine that is killed", function()
    it("starts it again and says so in one line", function()
      local result = copy("--report report.json", [[
        kill -9 $engine; until grep -q 'restart 1 of 3' err; do :; done
        echo second >&3; exec 3>&-; wait $supervisor]])
      assert.are.same({ 0, "first\nsecond\n" }, { result.status, dir:read("out") })
      assert.equal("swlua: copy: the engine process was killed by signal 9 (Killed); restart 1 of 3 in 0.001 s, with "
        .. "its sources at their start (no checkpoints are taken)\n", dir:read("err"))
      assert.equal(1, report().restarts)
    end)

    it("gives up after so many restarts as the job allows, with status 1", function()
      local result = run("if e.n == 5 then os.execute('kill -9 $PPID') end", "--set attempts=2")
      assert.equal(1, result.status)
      assert.equal(2, count(result.err, "; restart "))
      has(result.err, "swlua: job failed: the engine process was killed by signal 9 (Killed)\n")
    end)

    it("does so for a crash as well", function()
      local result = run("require('ffi').cast('int *', 0)[0] = e.n", "--set attempts=1")
      assert.equal(1, result.status)
      has(result.err, "killed by signal 11 (Segmentation fault); restart 1 of 1")
    end)

    it("does not restart where the job allows none", function()
      local result = run("os.execute('kill -9 $PPID')", "--set attempts=0")
      assert.equal(1, result.status)
      lacks(result.err, "restart")
    end)

    it("waits longer before each restart", function()
      local result = run("os.execute('kill -9 $PPID')", "--set delay=2ms")
      for _, part in ipairs({ "1 of 3 in 0.002 s", "2 of 3 in 0.004 s", "3 of 3 in 0.008 s" }) do
        has(result.err, part)
      end
    end)

    it("can be stopped while it waits", function()
      local result = copy("--set delay=1h", [[
        kill -9 $engine; until grep -q 'in 3600 s' err; do :; done; kill -TERM $supervisor; wait $supervisor]])
      assert.equal(1, result.status)
      has(dir:read("err"), "swlua: copy: stopped before it was restarted\n")
    end)
  end)

  describe("and its engine", function()
    for name, victims in pairs({
      ["the supervisor"] = "$supervisor", ["the supervisor, then the engine"] = "$supervisor $engine",
      ["the engine, then the supervisor"] = "$engine $supervisor",
    }) do
      it("leave nothing behind when what is killed is " .. name, function()
        local result = copy("--state kept", ([[
          kill -9 %s; wait $supervisor; killed=$?
          until gone $engine; do :; done
          echo again | "$swlua" copy.lua --state kept; echo $killed $?]]):format(victims))
        assert.equal("again\n137 0\n", result.out)
      end)
    end

    it("both live while one of them is stopped by SIGSTOP", function()
      local result = copy("", [[kill -STOP $engine; kill -CONT $engine; kill -STOP $supervisor
        echo second >&3; until grep -q second out; do :; done
        kill -CONT $supervisor; exec 3>&-; wait $supervisor]])
      assert.are.same({ 0, "" }, { result.status, dir:read("err") })
    end)
  end)

  describe("passes on", function()
    it("the status of a script that is wrong, without a restart", function()
      dir:write("wrong.lua", "local x = = 1\n")
      local result = dir:swlua("wrong.lua")
      assert.equal(3, result.status)
      lacks(result.err, "restart")
    end)

    it("the death of a process that is stopped while it loads its script", function()
      dir:write("load.lua", "os.execute('kill -TERM $PPID')\n")
      assert.are.same({ 143, "" }, { dir:swlua("load.lua").status, dir:swlua("load.lua").err })
    end)

    for _, case in ipairs({
      { "SIGTERM", "kill -TERM $supervisor" },
      { "SIGTERM that only the engine got", "kill -TERM $engine" },
      { "SIGINT that both got", "kill -INT -$supervisor", "setsid" },
    }) do
      it(case[1] .. " as one request to stop", function()
        local result = copy("", case[2] .. "; wait $supervisor", case[3])
        assert.equal(0, result.status)
        local err = dir:read("err")
        assert.equal(1, count(err, "swlua: stopping"))
        has(err, "swlua: copy stopped: ")
        lacks(err, "lost")
        lacks(err, "restart")
      end)
    end

    it("Ctrl-C of a terminal as one request to stop", function()
      local result = dir:shell([[mkfifo keys
        export SWLUA_ENDLESS="$swlua endless.lua"
        cat >endless.lua <<'END'
          local sw = require "swlua"
          local job = sw.job("endless")
          job:source("numbers", sw.from.generator(function(i) return { n = i } end), { rate = 1000 })
            :to("out", sw.to.file("out"))
          return job
END
        script -qec 'exec $SWLUA_ENDLESS' screen <keys >shown & exec 3>keys
        until [ -s out ]; do :; done; printf '\003' >&3; wait $!]])
      assert.equal(0, result.status)
      assert.equal(1, count(dir:read("shown"), "swlua: stopping"))
      has(dir:read("shown"), "swlua: endless stopped: ")
    end)

    it("a second SIGINT that both got as the second, which ends the job at once", function()
      dir:write("stuck.lua", [[
local sw = require "swlua"
local job = sw.job("stuck", { watchdog = "10m" })
job:source("numbers", sw.from.generator(function(i) return { n = i } end)):map("work", function(e)
  if e.n == 1000 then
    print("here")
    io.stdout:flush()
    while true do end
  end
  return e
end):to("out", sw.to.null())
return job
]])
      local result = dir:shell([[setsid "$swlua" stuck.lua >out 2>err & until [ -s out ]; do :; done
        kill -INT -$!; until grep -q stopping err; do :; done; kill -INT -$!; wait $!]])
      assert.equal(130, result.status)
      has(dir:read("err"), "stopped at once")
    end)
  end)

  describe("of a job that fails by itself", function()
    local BAD = "if e.n == 5 then error('no luck') end"

    it("does not restart it without a guarantee", function()
      local result = run(BAD, "--on-error fail")
      assert.equal(1, result.status)
      lacks(result.err, "restart")
    end)

    it("restarts it under a guarantee, tells why in a line, and gives up with the whole story", function()
      local result = run(BAD, "--delivery exactly-once --set attempts=2")
      assert.equal(1, result.status)
      has(result.err, "swlua: job: job/work#0: job.lua:5: no luck; restart 1 of 2 in 0.001 s\n")
      has(result.err, "swlua: job: job/work#0: job.lua:5: no luck; restart 2 of 2 in 0.002 s\n")
      has(result.err, "swlua: job failed: job/work#0: job.lua:5: no luck\nstack traceback:")
      has(result.err, "swlua: job: given up after 2 restarts without a completed checkpoint\n")
      assert.are.same({ "failed", 2 }, { report().status, report().restarts })
    end)

    it("does not restart what could not even start", function()
      dir:write("missing.lua", JOB:gsub('sw.from.generator%b()', 'sw.from.file("nowhere.jsonl")'):format(""))
      local result = dir:swlua("missing.lua --delivery exactly-once")
      assert.equal(1, result.status)
      lacks(result.err, "restart")
    end)
  end)

  describe("of a call that does not return", function()
    local LOOP = [[
local function deep() while true do end end
      if e.n == 5 then while true do pcall(deep) end end]]

    it("passes the watchdog's 70 on without a guarantee", function()
      local result = run(LOOP)
      assert.equal(70, result.status)
      has(result.err, "job/work#0: a call of its code in job.lua has not returned for 200 ms (watchdog)")
      lacks(result.err, "restart")
    end)

    it("has the loop caught and named after a restart, and handled by on_error", function()
      local result = run(LOOP, "--delivery exactly-once --on-error skip")
      assert.equal(0, result.status)
      has(result.err, "(watchdog); restart 1 of 3")
      assert.is_truthy(result.err:match("job/work#0: job.lua:[56]: this call has not returned for 200 ms %(watchdog%)"),
        result.err)
      assert.are.same({ 1, 1 }, { report().restarts, report().components.work.errors })
      assert.equal(9, count(dir:read("out"), "\n"))
    end)

    it("lets calls that return run on when they are interpreted", function()
      local result = run([[local began = os.time()
        if e.n == 5 then while true do end end
        local sum = 0
        for i = 1, 1000000 do sum = sum + i % 7 end]], "--delivery exactly-once --on-error skip")
      assert.are.same({ 0, 1 }, { result.status, report().components.work.errors })
    end)

    it("ends with 70 where nothing can interrupt the call", function()
      local result = run([[if e.n == 5 then (("a"):rep(400)):find(".-.-.-.-b") end]],
        "--delivery exactly-once --set attempts=1")
      assert.equal(70, result.status)
      has(result.err, "restart 1 of 1")
      has(result.err, "the process ends")
    end)
  end)

  it("is not there in simulation", function()
    local result = run("if e.n == 5 then os.execute('kill -9 $PPID') end", "--sim")
    assert.are.same({ 137, "" }, { result.status, result.err })
  end)
end)
