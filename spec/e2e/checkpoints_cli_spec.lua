-- swlua checkpoints, swlua check --against and swlua run --with-code: what a job has saved, seen from outside.
local json = require("cjson")
local support = require("spec.e2e.support")

-- Counts by card, and in all; each run with --from latest goes on where the last one ended, and makes a checkpoint.
local JOB = [[
local sw = require "swlua"
local job = sw.job("sums", { delivery = "exactly-once" })
local total = {
  version = 1,
  setup_instance = function(self, _, state) self.n = state and state.n or 0 end,
  apply = function(self, event, out) self.n = self.n + 1 out:emit(event) end,
  get_state = function(self) return { n = self.n } end,
}
job:source("sales", sw.from.file("in.jsonl"))
  :apply("total", total)
  :key_by("card"):apply("by_card", function(event, out, state)
    state.n = (state.n or 0) + 1
    out:emit({ card = event.card, n = state.n })
  end)
  :to("out", sw.to.file("out.jsonl"))
return job
]]

describe("swlua", function()
  local dir
  before_each(function()
    dir = support.folder()
    dir:write("sums.lua", JOB)
    dir:write("in.jsonl", '{"card":"a"}\n{"card":"b"}\n')
  end)
  after_each(function() dir:remove() end)

  local function has(text, part)
    assert.is_truthy(text:find(part, 1, true), ("no %q in:\n%s"):format(part, text))
  end
  local function lacks(text, part) assert.is_nil(text:find(part, 1, true), text) end

  --- Checkpoints, one a run, of an input that grows: their ids.
  local function make_checkpoints(count)
    for i = 1, count do
      local result = dir:shell(('echo \'{"card":"c%d"}\' >>in.jsonl; "$swlua" sums.lua --from latest'):format(i))
      assert.equal(0, result.status, result.err)
    end
    local ids = {}
    for line in dir:swlua("checkpoints sums --json").out:gmatch("[^\n]+") do
      ids[#ids + 1] = ("%d"):format(json.decode(line).id)
    end
    return ids
  end

  --- Changes a byte in the middle of the newest file of a checkpoint.
  local function damage(id)
    local result = dir:shell(([[
      for file in state/swlua/sums/checkpoints/%s.*mdb; do
        printf '\377\376' | dd of=$file bs=1 seek=5000 conv=notrunc 2>/dev/null
      done]]):format(id))
    assert.equal(0, result.status, result.err)
  end

  describe("checkpoints list", function()
    it("is a table with a line for each checkpoint", function()
      local ids = make_checkpoints(2)
      local result = dir:swlua("checkpoints sums")
      assert.equal(0, result.status)
      local lines = {}
      for line in result.out:gmatch("[^\n]+") do lines[#lines + 1] = line end
      assert.equal(3, #lines)
      assert.is_truthy(lines[1]:find("^ID +TAKEN +AGE +BYTES +ENTRIES +FILES +KIND$"), lines[1])
      local row = " +%d+%-%d+%-%d+T[%d:.]+Z +%d+s +[%d,]+ +%d+ +1  full, finished$"
      assert.is_truthy(lines[2]:find("^" .. ids[1] .. row), lines[2])
      assert.is_truthy(lines[3]:find("^" .. ids[2] .. " .* 2  changes, finished$"), lines[3])
    end)

    it("is with --json an object a line", function()
      make_checkpoints(1)
      local row = json.decode(dir:swlua("checkpoints sums list --json").out)
      assert.equal(true, row.full)
      assert.equal(true, row.finished)
      assert.equal(1, row.files)
      assert.equal(json.null, row.damage)
      assert.equal(json.null, row.savepoint)
      assert.is_truthy(row.taken:find("^%d+%-%d+%-%d+T.*Z$"))
    end)

    it("takes a state directory as well as a job's name", function()
      make_checkpoints(1)
      assert.equal(dir:swlua("checkpoints sums --json").out, dir:swlua("checkpoints state/swlua/sums --json").out)
    end)

    it("says loudly which file is cut off", function()
      local ids = make_checkpoints(2)
      dir:shell(("truncate -s 6000 state/swlua/sums/checkpoints/%s.mdb"):format(ids[2]))
      local result = dir:swlua("checkpoints sums")
      has(result.out, "DAMAGED: ")
      has(result.out, ids[2] .. ".mdb")
      has(result.err, "1 of 2 CANNOT BE USED")
      assert.is_string(json.decode(dir:swlua("checkpoints sums --json").out:match("[^\n]+\n$")).damage)
    end)

    it("names the nearest job where there is none of that name", function()
      make_checkpoints(1)
      local result = dir:swlua("checkpoints sume")
      assert.equal(1, result.status)
      has(result.err, 'did you mean "sums"?')
    end)
  end)

  describe("checkpoints show", function()
    it("tells what each component has saved, and the files", function()
      local ids = make_checkpoints(2)
      local result = dir:swlua("checkpoints sums show " .. ids[2])
      assert.equal(0, result.status, result.err)
      has(result.out, ("checkpoint %s of job sums, taken "):format(ids[2]))
      has(result.out, "its input had ended")
      has(result.out, "script sums.lua (")
      assert.is_truthy(result.out:find("\nby_card +1 +0  keys +4 "), result.out)
      assert.is_truthy(result.out:find("\ntotal +1 +1  instances +1 "), result.out)
      has(result.out, ("/checkpoints/%s.mdb  "):format(ids[2]))
      has(result.out, ("/checkpoints/%s.full.mdb  "):format(ids[1]))
    end)

    it("is with --json one object", function()
      local ids = make_checkpoints(2)
      local shown = json.decode(dir:swlua(("checkpoints sums show %s --json"):format(ids[2])).out)
      assert.equal("sums", shown.job)
      assert.equal(dir.path, shown.folder)
      assert.equal(#JOB, shown.script_bytes)
      assert.equal(2, #shown.files)
      assert.equal("by_card", shown.components[3].name)
      assert.equal(4, shown.components[3].saved.keys.entries)
    end)

    it("prints with --script the text it was taken with", function()
      make_checkpoints(1)
      dir:write("sums.lua", "changed since")
      assert.equal(JOB, dir:swlua("checkpoints sums show latest --script").out)
    end)

    it("refuses one that is not there", function()
      make_checkpoints(1)
      local result = dir:swlua("checkpoints sums show 99")
      assert.equal(1, result.status)
      has(result.err, "there is no checkpoint 99")
    end)
  end)

  describe("checkpoints verify", function()
    it("finds nothing wrong with what is whole", function()
      local ids = make_checkpoints(2)
      local result = dir:swlua("checkpoints sums verify")
      assert.equal(0, result.status)
      assert.equal(("%s: ok\n%s: ok\n"):format(ids[1], ids[2]), result.out)
    end)

    it("finds a changed byte that list does not see, and what builds on it", function()
      local ids = make_checkpoints(2)
      damage(ids[1])
      lacks(dir:swlua("checkpoints sums").out, "DAMAGED")
      local result = dir:swlua("checkpoints sums verify")
      assert.equal(4, result.status)
      lacks(result.out, "ok")
      has(result.out, ids[1] .. ".full.mdb")
      has(result.err, "2 of 2 CANNOT BE USED")
    end)
  end)

  describe("checkpoints drop", function()
    it("removes what nothing builds on", function()
      local ids = make_checkpoints(2)
      local result = dir:swlua("checkpoints sums drop " .. ids[2])
      assert.equal(0, result.status, result.err)
      assert.equal(("dropped %s\n"):format(ids[2]), result.out)
      assert.equal(ids[1], ("%d"):format(json.decode(dir:swlua("checkpoints sums --json").out).id))
    end)

    it("refuses what another one builds on", function()
      local ids = make_checkpoints(2)
      local result = dir:swlua("checkpoints sums drop " .. ids[1])
      assert.equal(1, result.status)
      has(result.err, ("checkpoint %s builds on checkpoint %s"):format(ids[2], ids[1]))
      assert.equal(0, dir:swlua("checkpoints sums verify").status)
    end)

    it("refuses beside a running job, and names its process", function()
      local ids = make_checkpoints(1)
      dir:write("wait.lua", (JOB:gsub('sw.from.file%("in.jsonl"%)', 'sw.from.stdin(), { journal = true }')))
      local result = dir:shell(([[
        mkfifo in; "$swlua" wait.lua --from none <in >/dev/null 2>err & job=$!
        exec 3>in; until [ -S state/swlua/sums/control.sock ] || ! kill -0 $job; do :; done
        "$swlua" checkpoints sums >list; "$swlua" checkpoints sums drop %s 2>said; echo $? >status
        echo $job >pid; read -r engine </proc/$job/task/$job/children; echo $engine >>pid
        exec 3>&-; wait $job]]):format(ids[1]))
      assert.equal(0, result.status, result.err .. dir:read("err"))
      assert.equal("4\n", dir:read("status"))
      local supervisor, engine = dir:read("pid"):match("(%d+)\n(%d+)")
      local said = dir:read("said")
      has(said, "is in use")
      assert.is_truthy(said:find(supervisor, 1, true) or said:find(engine, 1, true), said)
      has(dir:read("list"), "full, finished")
    end)

    it("refuses one that is not there, and makes no directory", function()
      local result = dir:swlua("checkpoints nothing drop 1")
      assert.equal(1, result.status)
      assert.is_nil(dir:shell("ls state/swlua/nothing").out:find("OWNER"))
    end)
  end)

  describe("checkpoints", function()
    it("refuses what it does not know, and names the nearest", function()
      local result = dir:swlua("checkpoints sums lits")
      assert.equal(1, result.status) -- There is no such state yet.
      make_checkpoints(1)
      result = dir:swlua("checkpoints sums lits")
      assert.equal(2, result.status)
      has(result.err, 'did you mean "list"?')
      assert.equal(2, dir:swlua("checkpoints sums show").status)
      assert.equal(2, dir:swlua("checkpoints").status)
    end)
  end)

  describe("check --against", function()
    local function check(from, to)
      dir:write("new.lua", (JOB:gsub(from, to)))
      return dir:swlua("check new.lua --against sums")
    end

    it("says that everything is kept of a job that has not changed", function()
      make_checkpoints(1)
      local result = check("nothing", "")
      assert.equal(0, result.status, result.err)
      has(result.out, "sales    kept\ntotal    kept\nby_card  kept\nout      kept\n")
    end)

    it("tells new, upgraded and rescaled components", function()
      make_checkpoints(1)
      local result = check("version = 1,", "version = 3, upgrade = function(state) return state end,")
      has(result.out, "total    upgraded from version 1 to 3\n")
      result = check(':to%("out"', ':map("copy", function(e) return e end):to("out"')
      assert.equal(0, result.status)
      has(result.out, "copy     new: it starts without state\n")
      result = check('end%)\n  :to', 'end, { parallelism = 2 })\n  :to')
      has(result.out, "by_card  kept: 1 instances then, 2 now\n")
    end)

    it("refuses, with exit status 4, what could not be gone on from", function()
      make_checkpoints(1)
      local result = check("version = 1,", "version = 2,")
      assert.equal(4, result.status)
      has(result.out, "total    refused: its saved state has version 1, the code's is 2, and it has no upgrade\n")
      result = check('"total"', '"sum"')
      assert.equal(4, result.status)
      has(result.out, "total    refused: it is no longer in the job; its state would be lost "
        .. "(--drop-state total drops it)\n")
      has(result.out, "sum      new: it starts without state\n")
    end)

    it("drops no state of a component that is still there", function()
      make_checkpoints(1)
      local result = dir:swlua("sums.lua --from latest --drop-state total")
      assert.equal(4, result.status)
      has(result.err, "total: it is still in the job: give it another name to start without its state")
    end)

    it("agrees with the run that follows", function()
      make_checkpoints(1)
      check("version = 1,", "version = 2,")
      local result = dir:swlua("new.lua --from latest")
      assert.equal(4, result.status)
      has(result.err, "total: its saved state has version 1, the code's is 2, and it has no upgrade")
    end)
  end)

  it("check and graph leave the state as it is, beside a running job too", function()
    make_checkpoints(2)
    local before = dir:shell("cd state/swlua/sums && find . -type f | sort | xargs sha256sum").out
    assert.equal(0, dir:shell('flock state/swlua/sums/OWNER "$swlua" check sums.lua').status)
    assert.equal(0, dir:swlua("check sums.lua --explain --events 10").status)
    assert.equal(0, dir:swlua("graph sums.lua").status)
    assert.equal(before, dir:shell("cd state/swlua/sums && find . -type f | sort | xargs sha256sum").out)
  end)

  describe("run --with-code", function()
    it("runs the stored script, and says so", function()
      local ids = make_checkpoints(1)
      dir:write("sums.lua", (JOB:gsub("state.n = .-\n", "state.n = 1000\n")))
      local result = dir:shell([[echo '{"card":"a"}' >>in.jsonl; "$swlua" sums.lua --with-code --from ]] .. ids[1])
      assert.equal(0, result.status, result.err)
      has(result.err, ("running the script that checkpoint %s was taken with, not sums.lua"):format(ids[1]))
      assert.equal('{"card":"a","n":2}', dir:read("out.jsonl"):match("([^\n]+)\n$"))
    end)

    it("requires modules from the folder of SCRIPT", function()
      dir:write("part.lua", "return 1")
      dir:write("sums.lua", 'require("part")\n' .. JOB)
      make_checkpoints(1)
      local result = dir:shell('mkdir new; cp part.lua new/; echo "no Lua" >new/sums.lua; '
        .. '"$swlua" new/sums.lua --with-code --from latest --state state/swlua/sums')
      assert.equal(0, result.status, result.err)
    end)

    it("needs a checkpoint", function()
      assert.equal(4, dir:swlua("sums.lua --with-code").status)
      assert.equal(2, dir:swlua("sums.lua --with-code --from none").status)
    end)
  end)
end)
