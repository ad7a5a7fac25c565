-- Event logs, as whole programs: jobs that write and read them, and swlua log.
local json = require("cjson")
local support = require("spec.e2e.support")

describe("event logs", function()
  local dir
  before_each(function() dir = support.folder() end)
  after_each(function() dir:remove() end)

  local function succeeds(arguments)
    local result = dir:swlua(arguments)
    assert.are.same({ 0, "" }, { result.status, result.err })
    return result.out
  end
  local function fails(arguments, status, text)
    local result = dir:swlua(arguments)
    assert.equal(status, result.status)
    assert.is_truthy(result.err:find(text, 1, true), result.err)
  end
  local function write_job(count)
    dir:write("write.lua", ([[
local sw = require "swlua"
local job = sw.job("write")
job:source("in", sw.from.generator(function(i) return { n = i } end, { count = %d })):to("out", sw.to.log("numbers"))
return job
]]):format(count))
  end
  local function read_job(options, source_options)
    dir:write("read.lua", ([[
local sw = require "swlua"
local job = sw.job("read")
job:source("in", sw.from.log("numbers", %s), %s):map("same", function(event) return { n = event.n } end):print()
return job
]]):format(options, source_options or "{}"))
  end
  local function numbers(text)
    local list = {}
    for line in text:gmatch("[^\n]+") do list[#list + 1] = json.decode(line).n end
    table.sort(list)
    return list
  end
  local function range(first, last)
    local list = {}
    for n = first, last do list[#list + 1] = n end
    return list
  end

  it("pass events from one job to the next", function()
    write_job(1000)
    succeeds("write.lua --progress off")
    read_job("{ follow = false }")
    assert.are.same(range(1, 1000), numbers(succeeds("read.lua --progress off")))
    read_job("{ follow = false }", '{ parallelism = 3, schema = sw.record{ n = "i64" } }')
    assert.are.same(range(1, 1000), numbers(succeeds("read.lua --progress off --workers 2")))
    assert.are.same(range(1, 1000), numbers(succeeds("read.lua --progress off --sim")))
    succeeds("write.lua --progress off")
    assert.equal(2000, json.decode(succeeds("log info numbers --json")).records)
  end)

  it("are followed while they are written, until the job is stopped", function()
    read_job("{}")
    succeeds("log append numbers </dev/null")
    local result = dir:shell([[mkfifo out; "$swlua" read.lua >out & exec 3<out
      echo '{"n":1}' | "$swlua" log append numbers >/dev/null; read -r line <&3; echo "$line"
      echo '{"n":2}' | "$swlua" log append numbers >/dev/null; read -r line <&3; echo "$line"
      kill -TERM $!; cat <&3; wait $!]])
    assert.are.same({ 0, '{"n":1}\n{"n":2}\n' }, { result.status, result.out })
  end)

  it("live where --logs says, by default in the user's state", function()
    write_job(3)
    succeeds("write.lua --progress off --logs here")
    assert.are.same({ "here", "write.lua" }, dir:list())
    succeeds("write.lua --progress off")
    assert.is_truthy(dir:read("state/swlua/logs/numbers/end"))
    assert.equal('{"n":3}\n', succeeds("log cat numbers --logs here --from '#2'"))
  end)

  it("have one writer", function()
    write_job(3)
    succeeds("log append numbers </dev/null")
    local result = dir:shell([[mkfifo in; "$swlua" log append numbers <in >/dev/null & exec 4>in
      echo '{"n":7}' >&4; until "$swlua" log cat numbers | grep -q 7; do :; done
      "$swlua" write.lua --progress off; echo "status $?"
      echo '{"n":8}' | "$swlua" log append numbers; echo "status $?"
      exec 4>&-; wait $!; echo "status $?"]])
    assert.is_truthy(result.out:find("status 4\nstatus 4\nstatus 0\n", 1, true), result.out)
    local told = "event log numbers is being written by process %d+"
    assert.is_truthy(result.err:find("swlua: write failed: write/out#0: " .. told), result.err)
    assert.is_truthy(result.err:find("swlua log append: " .. told), result.err)
    assert.equal('{"n":7}\n', succeeds("log cat numbers"))
  end)

  it("keep what arrives by a pipe, where the source has a journal", function()
    dir:write("job.lua", [[
local sw = require "swlua"
local job = sw.job("my job")
job:source("in", sw.from.stdin(), { journal = true, time = "ts" }):print()
return job
]])
    local result = dir:shell([[printf '{"ts":1}\nx\n{"ts":2}\n' | "$swlua" job.lua --log-level error --progress off]])
    assert.are.same({ 0, '{"ts":1}\n{"ts":2}\n', "" }, { result.status, result.out, result.err })
    assert.equal('{"ts":1}\n{"error":"not a JSON object","raw":"x","where":"stdin:2"}\n{"ts":2}\n',
      succeeds("log cat my%20job.in"))
    result = dir:shell([[echo '{"ts":3}' | "$swlua" job.lua --progress off]])
    assert.are.same({ 0, '{"ts":3}\n' }, { result.status, result.out })
    assert.equal(4, json.decode(succeeds("log info my%20job.in --json")).records)
  end)

  describe("under exactly-once", function()
    local COUNT = 20000
    local JOB = [[
local sw = require "swlua"
local job = sw.job("job", { delivery = "exactly-once", checkpoint = { interval = "10ms" },
  restart = { attempts = sw.args.restarts or 0, delay = "1ms" } })
job:source("in", %s, { rate = sw.args.rate %s }):to("out", %s)
return job
]]
    --- Kills the job when it passes a point for the first time, then for the second ..., each time while there is much
    --- input left, and then lets it end.
    local function run_killed(point)
      for _, n in ipairs({ 1, 2, 3, 5, 8 }) do
        local result = dir:shell(([[SWLUA_CRASH_AT=%s:%d \
          "$swlua" job.lua --logs logs --state kept --progress off --set rate=3000]]):format(point, n))
        assert.equal(1, result.status)
        assert.is_truthy(result.err:find("was killed by signal 9", 1, true), result.err)
      end
      assert.equal(0, dir:swlua("job.lua --logs logs --state kept --progress off").status)
    end

    for _, point in ipairs({ "log.end.write", "log.end.written", "log.value.synced", "log.segment.written" }) do
      it("hold the events of a run without, when it is killed at " .. point, function()
        dir:write("job.lua", JOB:format(("sw.from.generator(function(i) return { n = i } end, { count = %d })")
          :format(COUNT), "", 'sw.to.log("numbers")'))
        run_killed(point)
        assert.are.same(range(1, COUNT), numbers(succeeds("log cat numbers --logs logs")))
      end)
    end

    it("are read once, when the reader is killed", function()
      dir:shell(([[seq 1 %d | sed 's/.*/{"n":&}/' | "$swlua" log append numbers --logs logs]]):format(COUNT))
      dir:write("job.lua", JOB:format('sw.from.log("numbers", { follow = false })', ", parallelism = 2",
        'sw.to.file("out")'))
      run_killed("log.reader.rename")
      assert.are.same(range(1, COUNT), numbers(dir:read("out")))
      local readers = json.decode(succeeds("log info numbers --logs logs --json")).readers
      assert.are.same({ { name = "job.in%230", retained = COUNT }, { name = "job.in%231", retained = COUNT } }, readers)
    end)

    it("make standard input one that can be read again", function()
      dir:write("job.lua", JOB:format("sw.from.stdin()", ", journal = true", 'sw.to.file("out")'))
      local result = dir:shell([[export SWLUA_CRASH_AT=log.dir.synced:20
        seq 1 1000 | sed 's/.*/{"n":&}/' |
          "$swlua" job.lua --logs logs --state kept --progress off --set restarts=3 --set rate=3000]])
      assert.equal(0, result.status)
      assert.are.same(range(1, 1000), numbers(dir:read("out")))
      local log = json.decode(succeeds("log info job.in --logs logs --json"))
      assert.are.same({ 1000, 1000 }, { log.committed, log.readers[1].retained })
      result = dir:shell([[echo '{"n":1}' | "$swlua" job.lua --logs logs --state kept --progress off]])
      assert.are.same({ 0, '{"n":1}\n' }, { result.status, dir:read("out") })
    end)
  end)

  it("are a job's fault where they are missing", function()
    read_job("{}")
    fails("read.lua", 1, 'read/in#0: there is no event log "numbers" in ' .. dir.path .. "/state/swlua/logs")
  end)

  describe("swlua log append", function()
    it("takes JSON lines of a file or of standard input, with their time", function()
      dir:write("input", '{"n":1,"ts":5}\n\n{"n":2,"ts":7}\n')
      assert.equal("2 events appended: #0 to #1\n", succeeds("log append numbers input --time ts"))
      dir:shell([[gzip input]])
      assert.equal("2 events appended: #2 to #3\n", succeeds("log append numbers input.gz --time ts"))
      assert.equal("no events appended\n", succeeds("log append numbers </dev/null"))
      local info = json.decode(succeeds("log info numbers --json"))
      assert.are.same({ 4, 5, 7 }, { info.records, info.first_time, info.last_time })
    end)

    it("names and leaves out what is no event", function()
      dir:write("input", '{"n":1}\n[]\n{"n":2}\n{"n":\n')
      local result = dir:swlua("log append numbers input")
      assert.equal(1, result.status)
      assert.equal("swlua log append: input:2: not a JSON object\n"
        .. "swlua log append: input:4: the text ends before the object does\n"
        .. "swlua log append: lines left out because they are no events: 2\n", result.err)
      assert.are.same({ 1, 2 }, numbers(succeeds("log cat numbers")))
    end)

    it("says what it cannot read and which names cannot be", function()
      fails("log append numbers missing", 1, "swlua log append: no file matches missing")
      assert.are.same({}, dir:list())
      fails("log append ../x", 2, '"../x" is no name of an event log')
      fails("log append", 2, "which log?")
      fails("log append a b c", 2, "one log and one file at a time")
    end)
  end)

  describe("swlua log cat", function()
    before_each(function()
      dir:shell([[seq 1 9 | sed 's/.*/{"n":&,"ts":&000}/' >input]])
      succeeds("log append numbers input --time ts")
    end)

    it("prints from anywhere, as many as one likes", function()
      assert.are.same(range(1, 9), numbers(succeeds("log cat numbers")))
      assert.are.same(range(1, 9), numbers(succeeds("log cat numbers --from earliest")))
      assert.are.same({ 4, 5 }, numbers(succeeds("log cat numbers --from '#3' --limit 2")))
      assert.are.same(range(7, 9), numbers(succeeds("log cat numbers --from 6500")))
      assert.are.same({}, numbers(succeeds("log cat numbers --from latest")))
      assert.are.same({}, numbers(succeeds("log cat numbers --from 99000")))
      assert.are.same({ 1 }, numbers(succeeds("log cat numbers | head -n 1")))
    end)

    it("follows", function()
      local result = dir:shell([[mkfifo out; "$swlua" log cat numbers --from '#9' --follow --limit 2 >out & exec 3<out
        echo '{"n":10}' | "$swlua" log append numbers >/dev/null; read -r line <&3; echo "$line"
        echo '{"n":11}' | "$swlua" log append numbers >/dev/null; read -r line <&3; echo "$line"; wait $!]])
      assert.equal(0, result.status)
      assert.are.same({ 10, 11 }, numbers(result.out))
    end)

    it("says what cannot be", function()
      fails("log cat nothing", 4, 'there is no event log "nothing" in ')
      fails("log cat numbers --from tomorrow", 2, 'option "--from": expected earliest, latest, #NUMBER or a time')
      fails("log cat numbers --from '#x'", 2, "expected a whole number")
      fails("log cat numbers --from '#10'", 4, "event log numbers ends at record 9, before 10")
      fails("log cat numbers --folow", 2, 'did you mean "--follow"?')
    end)

    it("names the damaged record and prints those before it", function()
      dir:shell([[printf X | dd of=state/swlua/logs/numbers/00000000000000000000.log bs=1 seek=100 conv=notrunc]])
      local result = dir:swlua("log cat numbers")
      assert.equal(4, result.status)
      assert.are.same({ 1, 2 }, numbers(result.out))
      local told = "/00000000000000000000.log: record 2 at byte 84 is damaged"
      assert.is_truthy(result.err:find(told, 1, true), result.err)
    end)
  end)

  describe("swlua log info and trim", function()
    it("say what there is, and what was removed", function()
      dir:write("big.lua", [[
local sw = require "swlua"
local job = sw.job("big")
local text = ("x"):rep(1000000)
job:source("in", sw.from.generator(function(i) return { n = i, text = text }, i end, { count = 150 }))
  :to("out", sw.to.log("numbers"))
return job
]])
      succeeds("big.lua --progress off")
      local info = json.decode(succeeds("log info numbers --json"))
      assert.are.same({ 0, 150, 150, 3, 1, 150, 0 }, { info.first, info.committed, info.records, info.segments,
        info.first_time, info.last_time, #info.readers })
      assert.equal("nothing removed\n", succeeds("log trim numbers --keep-size 1GiB"))
      dir:write("state/swlua/logs/numbers/readers/job.in", "100\n")
      local said = succeeds("log trim numbers --keep-age 1d")
      assert.is_truthy(said:find("^1 segment removed, 6800%d+ bytes; the first event is #68\nmore was kept for "
        .. "reader job.in; %-%-force removes that too\n$"), said)
      said = succeeds("log trim numbers --keep-size 0 --force")
      assert.is_truthy(said:find("^1 segment removed, 6800%d+ bytes; the first event is #136\n$"), said)
      local text = succeeds("log info numbers")
      assert.is_truthy(text:find("events     14, #136 to #149", 1, true), text)
      assert.is_truthy(text:find("readers    job.in from #100", 1, true), text)
      assert.is_truthy(text:find("1970-01-01T00:00:00.137Z to 1970-01-01T00:00:00.150Z", 1, true), text)
    end)

    it("say what cannot be", function()
      fails("log info nothing", 4, 'there is no event log "nothing"')
      fails("log trim nothing --keep-age 1d", 4, 'there is no event log "nothing"')
      fails("log trim a", 2, "keep how much?")
      fails("log trim a --keep-age soon", 2, 'bad duration "soon"')
      fails("log trim a --keep-size -1", 2, 'bad size "-1"')
      fails("log inf a", 2, 'no "inf"; did you mean "info"?')
      fails("log", 2, "append, cat, info or trim?")
    end)

    it("have help", function()
      for _, part in ipairs({ "", "append ", "cat ", "info ", "trim " }) do
        assert.is_truthy(succeeds(("log %s--help"):format(part)):find("usage: swlua log " .. part, 1, true))
      end
    end)
  end)
end)
