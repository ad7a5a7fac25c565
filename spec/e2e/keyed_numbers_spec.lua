--- Keys that are numbers are found by a way of their own inside a task: the counts must be those of any other way.
local support = require("spec.e2e.support")

local EVENTS = 30000

-- Whole numbers that share their lower bits, some that are beyond the quick way, and for `has_decimals` some that no
-- integer holds.
local KEYS = [[
return function(i, has_decimals)
  local k = (i * 7919) % 5003
  if i % 11 == 0 then return (k % 5) * 4294967296 end
  if i % 13 == 0 then return -k * 4096 end
  if i % 17 == 0 then return 2251799813685248 + k % 7 end
  if i % 19 == 0 and has_decimals then return k + 0.5 end
  if i % 23 == 0 then return nil end
  return k
end
]]

-- A key counts to three, then its state is dropped.
local JOB = [[
local sw = require("swlua")
local key_of = require("keys")
local kind = sw.args.kind
local has_schema = kind ~= "table"
local function schema(fields) return has_schema and sw.record(fields) or nil end

local function number(i) return { key = key_of(i, kind ~= "i64"), i = i } end

local job = sw.job("keys")
job:source("numbers", sw.from.generator(number, { count = sw.args.events }),
    { schema = schema({ key = kind, i = "i64" }) })
  :key_by("key")
  :apply("count", function(e, out, state)
    state.n = (state.n or 0) + 1
    out:emit({ i = e.i, n = state.n, is_key = e.key == nil or out.key == e.key })
    if state.n == 3 then state.n = nil end
  end, { schema = schema({ i = "i64", n = "i64", is_key = "bool" }), state = schema({ n = "i64" }) })
  :to("out", sw.to.file("out.jsonl"))
return job
]]

local function expected_counts(has_decimals)
  local key_of, counts, expected = loadstring(KEYS)(), {}, {}
  for i = 1, EVENTS do
    local key = key_of(i, has_decimals)
    if key == nil then key = "nil" end
    counts[key] = (counts[key] or 0) % 3 + 1
    expected[i] = counts[key]
  end
  return expected
end

describe("counting by a key that is a number", function()
  for _, kind in ipairs({ "i64", "f64", "table" }) do
    it("is right for " .. kind, function()
      local dir = support.folder()
      dir:write("keys.lua", KEYS)
      dir:write("job.lua", JOB)
      local run = dir:swlua(("run job.lua --progress off --set kind=%s --set events=%d"):format(kind, EVENTS))
      local rows = dir:read("out.jsonl")
      dir:remove()
      assert.equal(0, run.status, run.err)
      local found = {}
      for line in rows:gmatch("[^\n]+") do
        assert.equal("true", line:match('"is_key":(%a+)'), line)
        found[tonumber(line:match('"i":(%d+)'))] = tonumber(line:match('"n":(%d+)'))
      end
      assert.same(expected_counts(kind ~= "i64"), found)
    end)
  end
end)
