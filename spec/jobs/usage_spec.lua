-- jobs/system_usage.lua and jobs/lambda_usage, in the engine and over the log that jobs/fraud.lua writes.
local json = require("cjson")
local support = require("spec.e2e.support")
local sw = require "swlua"

local root = io.popen("pwd"):read("*l")
local MINUTE_MS = 60000

local function decisions(t, from, to)
  for id = from, to do
    local ts = math.floor(id / 7) * MINUTE_MS + (id * 7919) % MINUTE_MS
    t:push("decisions", { id = id, ts = ts, flagged = id % 5 == 0 })
  end
end

describe("system_usage", function()
  it("counts transactions, and frauds among them, per minute", function()
    local t = sw.test("jobs/system_usage.lua")
    t:push("decisions", { id = 1, ts = 1000, flagged = false })
    t:push("decisions", { id = 2, ts = 59999, flagged = true })
    t:push("decisions", { id = 3, ts = 60000, flagged = true })
    t:finish()
    assert.same({ { minute = 0, transactions = 2, frauds = 1 }, { minute = 60000, transactions = 1, frauds = 1 } },
      t:results("usage-writer"))
  end)

  it("counts the same with crashes as without", function()
    local function run(crashes)
      local t = sw.test("jobs/system_usage.lua")
      for n = 0, 19 do
        decisions(t, n * 20 + 1, n * 20 + 20)
        if crashes and n % 3 == 0 then t:checkpoint() end
        if crashes and n % 4 == 3 then
          t:crash()
          t:restore()
        end
      end
      t:finish()
      return sw.str(t:results("usage-writer"))
    end
    assert.equal(run(false), run(true))
  end)
end)

describe("the usage jobs over the log of the fraud job", function()
  local dir
  before_each(function()
    dir = support.folder()
    local fraud = dir:shell(('"$swlua" %s --set log=fraud --log-level error'):format(
      support.quoted(root .. "/jobs/fraud.lua")))
    assert.equal(0, fraud.status)
  end)
  after_each(function() dir:remove() end)

  local function run(script, arguments)
    local result = dir:swlua(("%s --log-level error %s"):format(support.quoted(root .. "/jobs/" .. script),
      arguments or ""))
    assert.equal("", result.err)
    assert.equal(0, result.status)
    return result.out
  end

  local function rows(text)
    local list, transactions, frauds = {}, 0, 0
    for line in text:gmatch("[^\n]+") do
      local row = json.decode(line)
      list[#list + 1] = row
      transactions, frauds = transactions + row.transactions, frauds + row.frauds
    end
    return list, transactions, frauds
  end

  it("find every transaction of the sample once, and every fraud that was flagged", function()
    run("system_usage.lua")
    local _, transactions, frauds = rows(dir:read("usage.jsonl"))
    assert.equal(5000, transactions)
    assert.equal(188, frauds)
    run("lambda_usage/batch.lua")
    assert.equal(dir:read("usage.jsonl"), dir:read("batch.jsonl"))
  end)

  it("write the same after being killed at one point after the other", function()
    run("system_usage.lua", "--set output=whole.jsonl --state whole")
    local job = support.quoted(root .. "/jobs/system_usage.lua")
    local killed = dir:shell(([[for n in 1 2 3 5 8 13; do
      SWLUA_CRASH_AT="*:$n" "$swlua" %s --sim --log-level error >/dev/null 2>&1 && exit 9
    done
    "$swlua" %s --log-level error]]):format(job, job))
    assert.equal(0, killed.status)
    assert.equal(dir:read("whole.jsonl"), dir:read("usage.jsonl"))
  end)

  it("show the batch as far as it reaches, and the stream beyond", function()
    run("lambda_usage/stream.lua")
    run("lambda_usage/batch.lua")
    local batch = rows(dir:read("batch.jsonl"))
    local part = {}
    for i = 1, 100 do part[i] = json.encode(batch[i]) end
    part[50] = json.encode({ minute = batch[50].minute, transactions = 1000, frauds = 7 }) -- not what the stream says
    dir:write("part.jsonl", table.concat(part, "\n") .. "\n")
    local view, transactions = rows(run("lambda_usage/view.lua", "--set batch=part.jsonl"))
    assert.equal(#batch, #view)
    assert.equal("batch", view[100].from)
    assert.equal("stream", view[101].from)
    assert.equal(1000, view[50].transactions)
    assert.equal(5000 - batch[50].transactions + 1000, transactions)
  end)
end)

describe("a component that manages its state itself", function()
  it("has exact totals though the source goes back further than its state", function()
    local path = os.tmpname()
    os.remove(path)
    local t = sw.test("examples/manual_state.lua", { args = { file = path } })
    local function pay(from, to)
      for id = from, to do t:push("payments", { id = id, cents = id }) end
    end
    pay(1, 10)
    t:checkpoint()
    pay(11, 20)
    t:crash()
    t:restore() -- 11 to 20 come again; the file has 1 to 18.
    pay(21, 30)
    t:finish()
    local file = assert(io.open(path))
    assert.equal("30 465\n", file:read("*a"))
    file:close()
    os.remove(path)
  end)
end)
