local ffi = require("ffi")
local support = require("spec.e2e.support")
local sw = require("swlua")

local function nothing() end

--- Opens a job whose events pass, unchanged, through one task and across a keyed channel: sinks "near" and "far".
local function open(options)
  return sw.test(function()
    local job = sw.job("values")
    local s = job:source("events", sw.from.generator(nothing), options)
    s:map("same", function(event) return event end):to("near", sw.to.null())
    s:key_by("k")
      :apply("keyed", function(event, out) out:emit(event) end,
        { parallelism = 2, schema = options and options.schema })
      :to("far", sw.to.null())
    return job
  end)
end

--- What comes out of both ways for an event that goes in.
local function pass(event, options)
  local t = open(options)
  t:push("events", event)
  assert.same({}, t:dead_letters())
  local near, far = t:results("near")[1], t:results("far")[1]
  t:close()
  return near, far
end

--- Asserts that one field comes out of both ways as it went in, by `same(out, value)`.
local function survives(value, same)
  same = same or assert.equal
  local near, far = pass({ k = 1, v = value })
  same(value, near.v)
  same(value, far.v)
end

describe("a value of an event", function()
  it("may be a 64-bit integer: beyond 2^53 it stays exact, as cdata", function()
    for _, value in ipairs({ 9007199254740993LL, -9007199254740993LL, 9223372036854775807LL,
      -9223372036854775807LL - 1LL, 18446744073709551615ULL, 9223372036854775808ULL }) do
      survives(value, function(expected, got)
        assert.equal("cdata", type(got))
        assert.equal(sw.str(expected), sw.str(got))
      end)
    end
  end)

  it("may be a 64-bit integer within 2^53, which comes out of a channel as a number", function()
    local near, far = pass({ k = 1, v = 42LL, w = -7ULL + 0 })
    assert.equal(42, tonumber(near.v))
    assert.equal("number", type(far.v))
    assert.equal(42, far.v)
  end)

  it("may be any double: NaN, infinities, -0, the least and the greatest", function()
    for _, value in ipairs({ math.huge, -math.huge, 0.1, 1 / 3, 2 ^ 53, -2 ^ 53, 2 ^ 63, 2 ^ 64, 1e308, 5e-324, 2 ^ 31,
      -2 ^ 31, 255, 256, 65535, 65536, -32, -33, -128, -129, -32768, -32769, 4294967295, 4294967296, -2147483649 }) do
      survives(value)
    end
    survives(0 / 0, function(_, got) assert.is_true(got ~= got) end)
    survives(-0.0, function(_, got) assert.equal(-math.huge, 1 / got) end)
  end)

  it("may be a string: empty, long, binary", function()
    for _, value in ipairs({ "", "\0", "a\0b", "\255\254\128", "\195\188\226\130\172" }) do survives(value) end
    for _, length in ipairs({ 31, 32, 255, 256, 65535, 65536 }) do survives(("x"):rep(length)) end
  end)

  it("may be one of many strings that are nearly the same, and so may a name", function()
    local strings, names = {}, {}
    for length = 0, 40 do
      local plain = ("a"):rep(length)
      strings[#strings + 1] = plain
      for at = 1, length do
        local other = plain:sub(1, at - 1) .. "b" .. plain:sub(at + 1)
        strings[#strings + 1] = other
        names[other] = #strings
      end
    end
    for i = 0, 1999 do
      strings[#strings + 1] = ("prefix--%04d"):format(i)
      strings[#strings + 1] = ("%04d--suffix"):format(i)
    end
    survives({ strings = strings, again = strings, names = names }, assert.same)
  end)

  it("may be true or false", function()
    survives(true)
    survives(false)
  end)

  it("may be a nested table of arrays and maps, which stay what they are", function()
    survives({ a = { 1, 2, { 3, { b = "c" } } }, d = { e = { f = { g = false } } } }, assert.same)
    survives({ 1, "two", { three = 3 }, {} }, assert.same)
    local long, wide = {}, {}
    for i = 1, 70000 do long[i], wide["k" .. i] = i, i end
    survives({ long = long, wide = wide }, assert.same)
  end)

  it("may be an empty array, which stays one, and an empty map, which does too", function()
    survives(sw.array(), function(_, got) assert.equal("[]", sw.str(got)) end)
    survives({}, function(_, got) assert.equal("{}", sw.str(got)) end)
    survives({ sw.array(), {} }, function(_, got) assert.equal("[[],{}]", sw.str(got)) end)
  end)

  it("may be sw.null inside an array", function()
    survives({ sw.null, 1, sw.null }, function(_, got)
      assert.equal(sw.null, got[1])
      assert.equal(1, got[2])
      assert.equal(sw.null, got[3])
    end)
  end)

  it("is absent when it is nil", function()
    local near, far = pass({ k = 1, v = nil })
    assert.same({ k = 1 }, near)
    assert.same({ k = 1 }, far)
  end)

  it("may be nested 24 deep and no deeper", function()
    local function nested(depth) return depth == 0 and "bottom" or { n = nested(depth - 1) } end
    survives(nested(20), assert.same)
    local t = open()
    t:push("events", { k = 1, v = nested(30) })
    assert.equal(0, #t:results("far"))
    assert.is_truthy(t:dead_letters()[1].error:find("nested deeper than 24", 1, true))
  end)

  for what, value in pairs({ ["function"] = print, ["userdata"] = io.stdout, ["coroutine"] = coroutine.create(print),
    ["cdata of another kind"] = ffi.new("int[2]") }) do
    it("that is a " .. what .. " is an error that names the field", function()
      local t = sw.test(function()
        local job = sw.job("bad")
        job:source("events", sw.from.generator(nothing))
          :map("adds", function(event) return { k = event.k, deep = { v = value } } end)
          :key_by("k"):map("far", function(event) return event end, { parallelism = 2 }):to("results", sw.to.null())
        return job
      end)
      t:push("events", { k = 1 })
      assert.same({}, t:results("results"))
      local letter = t:dead_letters()[1]
      assert.equal("adds", letter.component)
      assert.is_truthy(letter.error:find("deep.v", 1, true), letter.error)
    end)
  end

  it("that has holes or mixes keys is an error that names the field", function()
    for _, value in ipairs({ { 1, nil, 3 }, { 1, 2, x = 3 }, { [2] = 1 }, { [true] = 1 }, { [1.5] = 1 } }) do
      local t = open()
      t:push("events", { k = 1, v = value })
      assert.same({}, t:results("far"))
      assert.is_truthy(t:dead_letters()[1].error:find("field 'v", 1, true), t:dead_letters()[1].error)
    end
  end)
end)

describe("an event with a schema", function()
  local schema = sw.record { k = "i64", i = "i64", f = "f64", b = "bool", s = "string", t = "time" }
  local options = { schema = schema }

  local function survives_as_record(name, value, same)
    local near, far = pass({ k = 1, [name] = value }, options)
    same = same or assert.equal
    same(value, near[name])
    same(value, far[name])
  end

  it("keeps exact integers: numbers within 2^53, cdata beyond", function()
    for _, value in ipairs({ 0, 1, -1, 2 ^ 53 - 1, -2 ^ 53 + 1 }) do survives_as_record("i", value) end
    for _, value in ipairs({ 9007199254740993LL, 9223372036854775807LL, -9223372036854775807LL - 1LL }) do
      survives_as_record("i", value, function(expected, got)
        assert.equal("cdata", type(got))
        assert.is_true(expected == got)
      end)
    end
  end)

  it("keeps doubles, truth values, times and strings", function()
    for _, value in ipairs({ 0.1, math.huge, -math.huge, 5e-324, 1e308 }) do survives_as_record("f", value) end
    survives_as_record("f", 0 / 0, function(_, got) assert.is_true(got ~= got) end)
    survives_as_record("b", true)
    survives_as_record("b", false)
    survives_as_record("t", 1714564800250)
    for _, value in ipairs({ "", "\0", "\255", ("x"):rep(70000) }) do survives_as_record("s", value) end
  end)

  it("keeps absent fields absent", function()
    local near, far = pass({ k = 1 }, options)
    assert.same({ k = 1 }, near)
    assert.same({ k = 1 }, far)
  end)
end)

describe("JSON lines", function()
  local dir
  before_each(function() dir = support.folder() end)
  after_each(function() dir:remove() end)

  --- Runs a job that copies in.jsonl to out.jsonl, the source reading with `options`.
  local function copy(input, options, arguments)
    dir:write("in.jsonl", input)
    dir:write("copy.lua", ([[
local sw = require "swlua"
local job = sw.job("copy")
job:source("events", sw.from.file("in.jsonl"), %s):key_by("k")
  :map("same", function(event) return event end, { parallelism = 2 })
  :to("results", sw.to.file("out.jsonl"))
return job
]]):format(options or "{}"))
    local result = dir:swlua("copy.lua --workers 2 " .. (arguments or ""))
    return dir:read("out.jsonl"), result
  end

  --- Asserts that lines come out as they went in.
  local function survive(lines, options)
    for _, line in ipairs(lines) do
      local out, result = copy(line .. "\n", options)
      assert.equal(line .. "\n", out, result.err)
      assert.same({ 0, "" }, { result.status, result.err })
    end
  end

  it("come out as they went in: numbers exact and in their shortest form", function()
    survive({ '{"v":[0,1,-1,9007199254740993,-9007199254740993]}',
      '{"v":[9223372036854775807,-9223372036854775808,18446744073709551615]}',
      '{"v":[0.1,1.5,-2.25,1e+300,5e-324,0.30000000000000004]}' })
  end)

  it("come out as they went in: strings, escapes, arrays, maps, nulls", function()
    survive({ '{"v":["","\\"\\\\","\\n\\t\\u0001","\195\188\226\130\172\240\159\154\128"]}',
      '{"v":{"a":[],"b":{},"c":[[],[{}]],"d":[null,1,null],"e":[true,false]}}' })
  end)

  it("have no null fields, and their keys sorted", function()
    assert.equal('{"a":1,"b":{"c":2,"d":3},"k":4}\n', (copy('{"k":4,"x":null,"b":{"d":3,"y":null,"c":2},"a":1}\n')))
  end)

  it("come out of records with the fields of the schema, in its order", function()
    local schema = [[{ schema = sw.record{ { "k", "i64" }, { "f", "f64" }, { "b", "bool" }, { "s", "string" },
      { "t", "time" } } }]]
    survive({ '{"k":9223372036854775807,"f":0.1,"b":false,"s":"\\u0000\195\188","t":1714564800250}',
      '{"k":-9007199254740993}' }, schema)
    assert.equal('{"k":1,"s":"x"}\n', (copy('{"s":"x","unknown":[1,{"deep":null}],"k":1,"f":null}\n', schema)))
  end)

  it("that do not parse, or do not fit the schema, are malformed: counted and told with file and line", function()
    local out, result = copy('{"k":1}\nnot json\n{"k":"text"}\n[1]\n{"k":2}\n', '{ schema = sw.record{ k = "i64" } }',
      "--report report.json")
    local lines = {}
    for line in out:gmatch("[^\n]+") do lines[#lines + 1] = line end
    table.sort(lines)
    assert.same({ '{"k":1}', '{"k":2}' }, lines)
    assert.equal(0, result.status)
    for line = 2, 4 do assert.is_truthy(result.err:find("in.jsonl:" .. line, 1, true), result.err) end
    assert.is_truthy(dir:read("report.json"):find('"malformed":3', 1, true))
  end)

  --- The error of a job that emits one event of this text, made of a value that JSON cannot say.
  local function refused(event)
    dir:write("bad.lua", ([[
local sw = require "swlua"
local job = sw.job("bad", { on_error = "skip" })
job:source("events", sw.from.generator(function(i) return i == 2 and %s or { i = i } end, { count = 3 }))
  :to("results", sw.to.file("out.jsonl"))
return job
]]):format(event))
    local result = dir:swlua("bad.lua --report report.json")
    assert.equal(0, result.status)
    assert.equal('{"i":1}\n{"i":3}\n', dir:read("out.jsonl"))
    assert.is_truthy(dir:read("report.json"):find('"errors":1', 1, true))
    return result.err
  end

  it("cannot say NaN and infinities: an error of the sink that names the field", function()
    for _, value in ipairs({ "0/0", "math.huge", "-math.huge" }) do
      local err = refused(("{ a = { v = %s } }"):format(value))
      assert.is_truthy(err:find("bad/results#0", 1, true), err)
      assert.is_truthy(err:find('field "a": field "v"', 1, true), err)
    end
  end)

  it("cannot say bytes that are no UTF-8: an error of the sink that names the field", function()
    local err = refused([[{ name = "\255" }]])
    assert.is_truthy(err:find("bad/results#0", 1, true), err)
    assert.is_truthy(err:find("name", 1, true), err)
  end)
end)
