--- msgpack of Lua values: the shortest form of each, and back again.
require("swlua")
local ffi = require("ffi")
local f = require("swlua.internal.ffi")
local decode = require("swlua.internal.decode")
local pack = require("swlua.internal.pack")
local values = require("swlua.values")

local S, anchor = f.scratch()

local function bytes_of(value)
  local n = pack.value(S, 0, value) -- It may move S.data.
  return ffi.string(S.data, n), anchor
end

local function hex(value)
  return (bytes_of(value):gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

local function back(value)
  local bytes = bytes_of(value)
  return (decode.bytes(ffi.cast("const char *", bytes), #bytes))
end

describe("a value is packed in its shortest form", function()
  for _, case in ipairs({
    { 0, "00" }, { 127, "7f" }, { 128, "cc80" }, { 255, "ccff" }, { 256, "cd0100" }, { 65535, "cdffff" },
    { 65536, "ce00010000" }, { 4294967295, "ceffffffff" }, { 4294967296, "cf0000000100000000" },
    { 2 ^ 53, "cf0020000000000000" }, { -1, "ff" }, { -32, "e0" }, { -33, "d0df" }, { -128, "d080" },
    { -129, "d1ff7f" }, { -32768, "d18000" }, { -32769, "d2ffff7fff" }, { -2147483648, "d280000000" },
    { -2147483649, "d3ffffffff7fffffff" }, { -2 ^ 53, "d3ffe0000000000000" }, { 1.5, "cb3ff8000000000000" },
    { 2 ^ 60, "cb43b0000000000000" }, { -0.0, "cb8000000000000000" }, { 1 / 0, "cb7ff0000000000000" },
    { 9007199254740993LL, "cf0020000000000001" }, { -9007199254740993LL, "d3ffdfffffffffffff" },
    { 18446744073709551615ULL, "cfffffffffffffffff" }, { 5LL, "05" },
    { true, "c3" }, { false, "c2" }, { values.null, "c0" },
    { "", "a0" }, { "abc", "a3616263" }, { ("x"):rep(32), "d920" .. ("78"):rep(32) },
    { ("x"):rep(256), "da0100" .. ("78"):rep(256) }, { ("x"):rep(65536), "db00010000" .. ("78"):rep(65536) },
    { { 1, 2 }, "920102" }, { values.array(), "90" }, { {}, "80" }, { { a = 1 }, "81a16101" },
    { { [7] = 1 }, "810701" }, { { { values.null } }, "9191c0" },
  }) do
    it(#case[2] > 40 and case[2]:sub(1, 10) .. "..." or case[2], function()
      assert.equal(case[2], hex(case[1]))
    end)
  end

  it("a map of more than 15 entries moves to make room for its header", function()
    for _, count in ipairs({ 15, 16, 17, 70000 }) do
      local map = {}
      for i = 1, count do map["key" .. i] = i end
      assert.same(map, back(map))
    end
  end)
end)

describe("what is packed comes back", function()
  it("whatever its shape", function()
    math.randomseed(7)
    local function random(depth)
      local kind = math.random(depth > 3 and 4 or 6)
      if kind == 1 then return math.random(-2 ^ 31, 2 ^ 31 - 1) end
      if kind == 2 then return math.random() * 10 ^ math.random(-20, 20) end
      if kind == 3 then return math.random() < 0.5 end
      if kind == 4 then return ("\0\xff text"):rep(math.random(0, 9)) end
      local t = kind == 5 and values.array() or {}
      for i = 1, math.random(1, 20) do t[kind == 5 and i or "k" .. i] = random(depth + 1) end
      return t
    end
    for _ = 1, 300 do
      local value = random(0)
      assert.same(value, back(value))
    end
  end)
end)

describe("what cannot be packed is refused", function()
  for what, case in pairs({
    ["a function"] = { { a = { b = print } }, "field 'a.b': a function cannot be part of an event" },
    ["a hole"] = { { a = values.array({ 1, nil, 3 }) }, "a hole in an array" },
    ["a mixed table"] = { { a = { 1, x = 2 } }, "either an array" },
  }) do
    it(what .. ", with its path", function()
      local ok, problem = pcall(pack.event, S, 0, case[1])
      assert.is_false(ok)
      assert.is_truthy(problem:find(case[2], 1, true), problem)
    end)
  end

  it("nesting deeper than 24", function()
    local t = {}
    for _ = 1, 30 do t = { t = t } end
    local ok, problem = pcall(pack.event, S, 0, t)
    assert.is_false(ok)
    assert.is_truthy(problem:find("nested deeper than 24", 1, true), problem)
  end)
end)
