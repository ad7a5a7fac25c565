local sw = require("swlua")
local values = require("swlua.values")

local function listed(t)
  local out = {}
  for k, v in sw.pairs(t) do
    out[#out + 1] = tostring(k) .. "=" .. tostring(v)
  end
  return table.concat(out, " ")
end

describe("sw.null", function()
  it("is one value, true and no table, that prints as null", function()
    assert.equal("userdata", type(sw.null))
    assert.equal("null", tostring(sw.null))
    assert.equal(sw.null, sw.copy({ sw.null })[1])
  end)
end)

describe("sw.array", function()
  it("marks a table, also an empty one", function()
    assert.equal(values.array_metatable, getmetatable(sw.array()))
    local items = { 1, 2 }
    assert.equal(items, sw.array(items))
  end)

  it("refuses what is no table, at the caller's line", function()
    local ok, message = pcall(function()
      sw.array(5)
    end)
    assert.is_false(ok)
    assert.is_truthy(message:match("values_spec.lua:%d+: sw.array: expected a table, got a number$"), message)
  end)
end)

for _, name in ipairs({ "copy", "table" }) do
  describe("sw." .. name .. " of a table", function()
    it("shares nothing with it, and keeps arrays arrays", function()
      local event = { a = { b = { 1 } }, tags = sw.array() }
      local copy = sw[name](event)
      assert.same(event, copy)
      copy.a.b[1] = 2
      assert.equal(1, event.a.b[1])
      assert.equal("[]", sw.str(copy.tags))
    end)
  end)
end

describe("sw.copy and sw.table of a record", function()
  after_each(function()
    values.record_copy, values.record_table = nil, nil
  end)

  it("ask the engine", function()
    local record = require("ffi").new("struct { int n; }")
    values.record_copy = function(r)
      return { copied = r }
    end
    values.record_table = function()
      return { n = 5 }
    end
    assert.equal(record, sw.copy(record).copied)
    assert.same({ n = 5 }, sw.table(record))
    assert.equal("n=5", listed(record))
    assert.equal('{"n":5}', sw.str(record))
  end)
end)

describe("sw.copy of 64-bit integers", function()
  after_each(function()
    values.record_copy = nil
  end)

  it("gives them back, in tables too", function()
    values.record_copy = function()
      return nil
    end
    assert.equal(5LL, sw.copy(5LL))
    assert.equal(5LL, sw.copy({ n = 5LL }).n)
  end)
end)

describe("sw.pairs", function()
  it("goes 1..#t, then other numbers, then strings bytewise", function()
    assert.equal("1=x 2=y -3=m 0.5=h 10=t B=1 a=2 b=3", listed({
      "x", "y", [10] = "t", [0.5] = "h", [-3] = "m", b = 3, a = 2, B = 1,
    }))
  end)

  it("goes over nothing in an empty table", function()
    assert.equal("", listed({}))
  end)
end)

describe("sw.str", function()
  for _, case in ipairs({
    { "text", "text" }, { 3, "3" }, { 0.1, "0.1" }, { 1 / 3, "0.3333333333333333" }, { -0.0, "-0" }, { true, "true" },
    { 9007199254740993LL, "9007199254740993" }, { 18446744073709551615ULL, "18446744073709551615" },
    { 2 ^ 53, "9007199254740992" }, { 1e300, "1e+300" },
    { { b = { 1, 2 }, a = "x\"\n\1" }, '{"a":"x\\"\\n\\u0001","b":[1,2]}' },
    { { 1, sw.null, 9007199254740993LL }, "[1,null,9007199254740993]" }, { {}, "{}" }, { sw.array(), "[]" },
  }) do
    it("prints " .. case[2], function()
      assert.equal(case[2], sw.str(case[1]))
    end)
  end
end)

describe("sw.time", function()
  for text, ms in pairs({
    ["1970-01-01"] = 0, ["1970-01-01T00:00:00Z"] = 0, ["2024-05-01T12:00:00.250Z"] = 1714564800250,
    ["2024-02-29T23:59:59.999Z"] = 1709251199999, ["2024-05-01T12:00:00+02:00"] = 1714557600000,
    ["2024-05-01 12:00"] = 1714564800000, ["1969-12-31T23:59:59.5Z"] = -500,
    ["2024-05-01T12:00:00-0330"] = 1714577400000,
    ["2024-05-01T12:00:00.123456Z"] = 1714564800123,
  }) do
    it("reads " .. text, function()
      assert.equal(ms, sw.time.iso(text))
    end)
  end

  for _, text in ipairs({ "", "yesterday", "2024-13-01", "2023-02-29", "2024-05-01T25:00:00Z", "2024-05-01T12:61:00Z",
    "2024-05-01T12:00:00 noon" }) do
    it("gives nil for '" .. text .. "'", function()
      assert.is_nil(sw.time.iso(text))
    end)
  end

  it("formats what it reads", function()
    for _, text in ipairs({ "2024-05-01T12:00:00.250Z", "1969-12-31T23:59:59.500Z", "2000-02-29T00:00:00.000Z" }) do
      assert.equal(text, sw.time.format(sw.time.iso(text)))
    end
  end)

  it("makes milliseconds of seconds", function()
    assert.equal(1714564800250, sw.time.seconds(1714564800.25))
    assert.equal(5000, sw.time.seconds("5"))
    assert.is_nil(sw.time.seconds(nil))
  end)
end)
