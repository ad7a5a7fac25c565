-- A running job seen from another process: ps, stop and savepoint, over its control socket.
local json = require("cjson")
local support = require("spec.e2e.support")

local ENDLESS = [[
local sw = require "swlua"
local job = sw.job("endless", { restart = { delay = "1ms" } })
job:source("numbers", sw.from.generator(function(i) return { n = i } end), { rate = 2000, time = "n" })
  :key_by("n")
  :apply("late", function(event, out)
    if event.n == 1 then out:timer(9000000000000000, "end") end
  end, { on_timer = function(_, out) out:emit({ fired = true }) end })
  :to("out", sw.to.file("out"))
return job
]]

-- Starts the job and goes on when it can be asked.
local START = [[
"$swlua" endless.lua %s 2>err & job=$!
until [ -S %s/control.sock ]; do :; done
]]
local STATE = "state/swlua/endless"

describe("a running job", function()
  local dir
  before_each(function()
    dir = support.folder()
    dir:write("endless.lua", ENDLESS)
  end)
  after_each(function() dir:remove() end)

  local function has(text, part)
    assert.is_truthy(text:find(part, 1, true), ("no %q in:\n%s"):format(part, text))
  end
  --- Runs a script beside the job; `options` are the job's. The script ends the job.
  local function beside(script, options, state)
    return dir:shell(START:format(options or "", state or STATE) .. script)
  end
  local EXACTLY = "--delivery exactly-once"

  describe("in ps", function()
    it("has a row", function()
      local result = beside('"$swlua" ps; echo $job; "$swlua" stop endless --now; wait $job')
      local header, row, pid = result.out:match("^([^\n]*)\n([^\n]*)\n(%d+)\n")
      has(header, "NAME")
      has(row, "endless")
      has(row, " " .. pid .. " ")
    end)

    it("says what it does, as JSON", function()
      local result = beside('"$swlua" ps --json; echo $job; "$swlua" stop endless; wait $job')
      local line, pid = result.out:match("^([^\n]*)\n(%d+)\n")
      local row = json.decode(line)
      assert.are.same({ "endless", tonumber(pid), "running", 0, dir.path .. "/" .. STATE },
        { row.name, row.pid, row.status, row.restarts, row.state })
      assert.is_true(row.events > 0 and row.uptime_s > 0 and row.engine_pid ~= row.pid)
      assert.equal(json.null, row.checkpoint)
    end)

    it("is the same job after a restart, under another engine", function()
      local result = beside([[
        "$swlua" ps --json; read -r engine </proc/$job/task/$job/children
        kill -9 $engine; until "$swlua" ps --json | grep '"restarts":1'; do :; done
        "$swlua" stop endless; wait $job]])
      local before, after = result.out:match("^([^\n]*)\n([^\n]*)\n")
      before, after = json.decode(before), json.decode(after)
      assert.equal(before.pid, after.pid)
      assert.are_not.equal(before.engine_pid, after.engine_pid)
      assert.equal(0, result.status)
    end)

    it("is not there any more when it has ended, however it ended", function()
      local result = beside('kill -9 $job; until ! "$swlua" ps --json | grep -q endless; do :; done; "$swlua" ps')
      assert.are.same({ 0, "", "swlua ps: no job runs\n" }, { result.status, result.out, result.err })
      -- Its socket is left for the next run to replace.
      result = beside('until "$swlua" stop endless 2>/dev/null; do :; done; wait $job')
      assert.are.same({ 0, "endless has stopped\n" }, { result.status, result.out })
    end)
  end)

  it("has a socket for its user alone, which goes with it", function()
    local result = beside(([[stat -c %%a %s/control.sock; "$swlua" stop endless; wait $job; ls -d %s]])
      :format(STATE, STATE))
    assert.equal("600\nendless has stopped\n", result.out)
  end)

  it("says so when another process has its socket", function()
    local result = beside([[
      "$swlua" endless.lua 2>second & until grep -q "no control socket: process $(cat /proc/$job/task/$job/children\
        | tr -d ' ') listens" second; do :; done; kill -INT $!; wait $!
      "$swlua" stop endless; wait $job]])
    assert.are.same({ 0, "endless has stopped\n" }, { result.status, result.out })
  end)

  describe("is stopped", function()
    it("by its name, and has ended when the command has", function()
      local result = beside('"$swlua" stop endless; [ ! -e /proc/$job/exe ] && echo gone; wait $job')
      assert.are.same({ 0, "endless has stopped\ngone\n" }, { result.status, result.out })
      has(dir:read("err"), "swlua: endless stopped: ")
    end)

    it("by its state directory", function()
      local result = beside('"$swlua" stop ./kept/here; wait $job', "--state kept/here", "kept/here")
      assert.are.same({ 0, "./kept/here has stopped\n" }, { result.status, result.out })
      result = beside('"$swlua" stop kept; wait $job', "--state kept", "kept")
      assert.are.same({ 0, "kept has stopped\n" }, { result.status, result.out })
    end)

    it("also where the path of its socket is longer than an address", function()
      local deep = ("deep/"):rep(40) .. "down"
      local result = beside(('"$swlua" stop %s; wait $job'):format(deep), "--state " .. deep, deep)
      assert.are.same({ 0, deep .. " has stopped\n" }, { result.status, result.out })
    end)

    it("with all timers fired by --drain", function()
      assert.equal(0, beside('"$swlua" stop endless --drain; wait $job', EXACTLY).status)
      assert.equal('{"fired":true}\n', dir:read("out"))
    end)

    it("with timers kept for the next run under a guarantee", function()
      assert.equal(0, beside('"$swlua" stop endless; wait $job', EXACTLY).status)
      assert.equal("", dir:read("out"))
    end)

    it("at once by --now, with the status of a second signal", function()
      local result = beside('"$swlua" stop endless --now; wait $job')
      assert.are.same({ 130, "endless has stopped\n" }, { result.status, result.out })
      has(dir:read("err"), "stopped at once")
    end)

    it("with a savepoint", function()
      local result = beside('"$swlua" stop endless --savepoint first; wait $job; ls state/swlua/endless/savepoints',
        EXACTLY)
      assert.are.same({ 0, "endless has stopped\nfirst.mdb\n" }, { result.status, result.out })
    end)
  end)

  describe("makes a savepoint", function()
    it("and goes on", function()
      local result = beside([["$swlua" savepoint endless first; "$swlua" savepoint endless first
        "$swlua" stop endless --savepoint first; "$swlua" stop endless; wait $job]], EXACTLY)
      assert.are.same({ 0, "savepoint first: checkpoint 1\nendless has stopped\n" }, { result.status, result.out })
      assert.equal('swlua savepoint: endless: there is a savepoint "first" already\n'
        .. 'swlua stop: endless: there is a savepoint "first" already\n', result.err)
    end)

    it("only where checkpoints are taken", function()
      local result = beside([["$swlua" savepoint endless first; echo $?
        "$swlua" stop endless --savepoint first; echo $?; "$swlua" stop endless; wait $job]])
      assert.equal("1\n1\nendless has stopped\n", result.out)
      has(result.err, 'swlua savepoint: endless: no checkpoints are taken of job "endless": it runs at-most-once')
      has(result.err, "swlua stop: endless: no checkpoints are taken")
    end)
  end)
end)

describe("a job that does not run", function()
  local dir
  before_each(function() dir = support.folder() end)
  after_each(function() dir:remove() end)

  for _, command in ipairs({ "stop nobody", "savepoint nobody first" }) do
    it("is named by " .. command, function()
      local result = dir:swlua(command)
      assert.equal(1, result.status)
      assert.is_truthy(result.err:find('no job "nobody" runs', 1, true), result.err)
    end)
  end

  for _, usage in ipairs({ "stop", "stop a b", "stop a --drain --now", "stop a --savepoint", "savepoint a", "ps a",
    "ps --jsn" }) do
    it("is not asked for by wrong usage: " .. usage, function()
      assert.equal(2, dir:swlua(usage).status)
    end)
  end
end)
