--- Records that leave their task are written where they are sent: they arrive as they were.
local support = require("spec.e2e.support")

-- Event i as a table; some lack fields, some have integers that no double holds.
local EVENTS = [[
return function(i)
  local event = { i = i, f = i / 8, b = i % 2 == 0, s = ("s"):rep(i % 9), t = 1436918400000 + i, n = -i }
  if i % 5 == 0 then event.s, event.b = nil, nil end
  if i % 7 == 0 then event.n = 9007199254740993LL + i end
  if i % 11 == 0 then event.f, event.t = nil, nil end
  return event
end
]]

local JOB = [[
local sw = require("swlua")
local event = require("events")
local grouping = sw.args.grouping

local row = sw.record({ i = "i64", f = "f64", b = "bool", s = "string", t = "time", n = "i64" })
local job = sw.job("sent", { backpressure = { queue = 50 } })
local stream = job:source("events", sw.from.generator(event, { count = sw.args.events }), { schema = row })
local parallelism = 2
if grouping == "partition" then
  stream = stream:partition(function(e) return e.i % 2 end)
elseif grouping == "global" then
  stream, parallelism = stream:global(), nil
else
  stream = stream:shuffle()
end
stream
  :map("same", function(e)
    if e.i % 3 == 0 then e.n, e.f = 9007199254740993LL, nil end
    return { i = e.i, f = e.f, b = e.b, s = e.s, t = e.t, n = e.n }
  end, { schema = row, parallelism = parallelism })
  :to("out", sw.to.file("out.jsonl"), { parallelism = 1 })
return job
]]

local FIELDS = { "b", "f", "i", "n", "s", "t" }

local function line_of(event)
  local parts = {}
  for _, name in ipairs(FIELDS) do
    local value = event[name]
    if type(value) == "string" then value = ("%q"):format(value) end
    if type(value) == "cdata" then value = tostring(value):gsub("LL", "") end
    if type(value) == "number" then value = ("%.17g"):format(value) end
    if value ~= nil then parts[#parts + 1] = ('"%s":%s'):format(name, tostring(value)) end
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

local function expected_lines(count)
  local event_of, lines = loadstring(EVENTS)(), {}
  for i = 1, count do
    local event = event_of(i)
    if i % 3 == 0 then event.n, event.f = 9007199254740993LL, nil end
    lines[i] = line_of(event)
  end
  table.sort(lines)
  return lines
end

describe("records sent to another task", function()
  for _, grouping in ipairs({ "partition", "shuffle", "global" }) do
    it("arrive as they were, by " .. grouping, function()
      local dir = support.folder()
      dir:write("events.lua", EVENTS)
      dir:write("job.lua", JOB)
      local run = dir:swlua("run job.lua --workers 2 --progress off --set events=20000 --set grouping=" .. grouping)
      local rows, lines = dir:read("out.jsonl"), {}
      dir:remove()
      assert.equal(0, run.status, run.err)
      for line in rows:gmatch("[^\n]+") do lines[#lines + 1] = line end
      table.sort(lines)
      assert.same(expected_lines(20000), lines)
    end)
  end

  it("fail where the partition function put in what their layout has not", function()
    local dir = support.folder()
    dir:write("job.lua", [[
      local sw = require("swlua")
      local row = sw.record({ i = "i64" })
      local job = sw.job("spoilt", { on_error = "skip" })
      job:source("events", sw.from.generator(function(i) return { i = i } end, { count = 300 }), { schema = row })
        :partition(function(e)
          if e.i == 200 then e.i = 0.5 end
          return 0
        end)
        :filter("all", function() return true end, { parallelism = 2 })
        :to("out", sw.to.file("out.jsonl"), { parallelism = 1 })
      return job]])
    local run = dir:swlua("run job.lua --workers 2 --progress off")
    local rows = dir:read("out.jsonl")
    dir:remove()
    assert.equal(0, run.status, run.err)
    assert.equal(299, select(2, rows:gsub("\n", "")))
    assert.is_truthy(run.err:find("field 'i': expected an integer (i64), got a number (0.5)", 1, true), run.err)
  end)
end)
