-- The last moment of a job whose input has ended: killed between its last checkpoint and its end, it is not over.
local support = require("spec.e2e.support")

local ONCE = [[
local sw = require "swlua"
local job = sw.job("once", { delivery = "exactly-once", restart = { attempts = 0 } })
job:source("in", sw.from.file("in.jsonl")):to("out", sw.to.log("numbers"))
return job
]]

describe("a job that is killed at its end", function()
  local dir
  before_each(function()
    dir = support.folder()
    dir:write("once.lua", ONCE)
    dir:write("in.jsonl", ('{"n":1}\n'):rep(100))
  end)
  after_each(function() dir:remove() end)

  local function run(prefix)
    return dir:shell((prefix or "") .. [["$swlua" once.lua --state state --logs logs]])
  end
  local function count()
    local result = dir:shell([["$swlua" log cat numbers --logs logs]])
    assert.equal(0, result.status, result.err)
    return select(2, result.out:gsub("\n", ""))
  end

  for _, point in ipairs({ "checkpoint.before-rename", "checkpoint.after-rename", "checkpoint.after-sync-dir",
    "log.end.write", "log.end.written" }) do
    it("goes on from there, and shows everything once, " .. point, function()
      local nth = 0
      repeat -- Until that point is not passed so often any more.
        nth = nth + 1
        dir:shell("rm -rf state logs")
        local status = run(("SWLUA_CRASH_AT=%s:%d "):format(point, nth)).status
        if status ~= 0 then assert.equal(0, run().status) end
        assert.equal(100, count())
      until status == 0
      assert.is_true(nth > 1)
    end)
  end

  it("that was over starts afresh the next time", function()
    assert.equal(0, run().status)
    assert.equal(0, run().status)
    assert.equal(200, count())
  end)
end)
