local support = require("spec.e2e.support")
local sw = require("swlua")

local function nothing() end

local SCHEMA = sw.record { k = "i64", n = "i64", f = "f64", b = "bool", s = "string", t = "time" }

--- Opens a job of one source with the schema and one operator behind it.
local function open(apply, options)
  return sw.test(function()
    local job = sw.job("records")
    job:source("events", sw.from.generator(nothing), { schema = SCHEMA }):apply("operator", apply, options)
      :to("results", sw.to.null())
    return job
  end)
end

--- What an operator makes of one event, and its dead letters.
local function apply_to(event, apply, options)
  local t = open(apply, options)
  t:push("events", event)
  return t:results("results"), t:dead_letters()
end

local function error_of(event, apply, options)
  local results, letters = apply_to(event, apply, options)
  assert.same({}, results)
  assert.equal(1, #letters)
  assert.equal("operator", letters[1].component)
  return letters[1].error
end

describe("a record", function()
  it("is read with the syntax of tables; an absent field is nil", function()
    local seen = {}
    apply_to({ k = 1, n = -5, f = 0.5, b = false, s = "text" }, function(event)
      seen = { event.k, event.n, event.f, event.b, event.s, event.t, type(event) }
    end)
    assert.same({ 1, -5, 0.5, false, "text", nil, "cdata" }, { unpack(seen, 1, 7) })
  end)

  it("reads integers as numbers within 2^53, and as exact int64 beyond", function()
    for _, value in ipairs({ 2 ^ 53 - 1, -2 ^ 53 + 1, 0 }) do
      apply_to({ n = value }, function(event) assert(type(event.n) == "number" and event.n == value) end)
    end
    for _, value in ipairs({ 9007199254740993LL, -9007199254740993LL, 9223372036854775807LL }) do
      local _, letters = apply_to({ n = value }, function(event)
        assert(type(event.n) == "cdata" and event.n == value)
      end)
      assert.same({}, letters)
    end
  end)

  it("has fields set in place, strings too, and set to nil", function()
    local results, letters = apply_to({ k = 1, n = 2, s = "before", b = true }, function(event, out)
      event.n, event.f, event.s, event.b, event.t = event.n + 1, 1.5, event.s .. " and after", nil, 1000
      assert(event.s == "before and after" and event.b == nil and event.f == 1.5)
      event.s = event.s:upper()
      out:emit(event)
    end)
    assert.same({}, letters)
    assert.same({ { k = 1, n = 3, f = 1.5, s = "BEFORE AND AFTER", t = 1000 } }, results)
  end)

  it("set in place goes across channels, by its new key, strings included", function()
    local t = sw.test(function()
      local job = sw.job("channel")
      job:source("events", sw.from.generator(nothing), { schema = SCHEMA }):map("sets", function(event)
        event.s = event.s .. ("+"):rep(event.n)
        event.k = event.n % 3
        return event
      end, { schema = SCHEMA }):key_by({ "s", "k" }):apply("keyed", function(event, out, state)
        state.n = (state.n or 0) + 1
        out:emit({ s = event.s, k = event.k, seen = state.n })
      end, { parallelism = 2 }):to("results", sw.to.null())
      return job
    end)
    for n = 1, 6 do t:push("events", { k = 0, n = n, s = "s" }) end
    t:push("events", { k = 5, n = 6, s = "s" })
    local seen = {}
    for _, row in ipairs(t:results("results")) do seen[row.s .. row.k] = row.seen end
    assert.same({ ["s+1"] = 1, ["s++2"] = 1, ["s+++0"] = 1, ["s++++1"] = 1, ["s+++++2"] = 1, ["s++++++0"] = 2 }, seen)
  end)

  it("refuses to read and to write a field that the schema lacks, naming it and those it has", function()
    for _, apply in ipairs({ function(event) return event.price end, function(event) event.price = 1 end }) do
      local problem = error_of({ n = 1 }, apply)
      assert.is_truthy(problem:find("field 'price' is not in the record (it has b, f, k, n, s, t)", 1, true), problem)
    end
  end)

  it("refuses values of the wrong type, naming field, type and value", function()
    for _, case in ipairs({ { "n", "text", 'field \'n\': expected an integer (i64), got a string ("text")' },
      { "n", 0.5, "field 'n': expected an integer (i64), got a number (0.5)" },
      { "n", 2 ^ 63, "field 'n': expected an integer (i64)" }, { "n", 0 / 0, "field 'n': expected an integer (i64)" },
      { "n", math.huge, "field 'n': expected an integer (i64)" }, { "n", 9223372036854775808ULL, "field 'n'" },
      { "f", "1.5", "field 'f': expected a number (f64)" }, { "b", 1, "field 'b': expected true or false (bool)" },
      { "s", 5, "field 's': expected a string" }, { "s", {}, "field 's': expected a string, got a table" },
      { "t", "now", "field 't': expected an integer (time in ms)" } }) do
      local name, value, expected = unpack(case)
      local in_place = error_of({ n = 1 }, function(event) event[name] = value end)
      local emitted = error_of({ n = 1 }, function(_, out) out:emit({ [name] = value }) end, { schema = SCHEMA })
      assert.is_truthy(in_place:find(expected, 1, true), in_place)
      assert.is_truthy(emitted:find(expected, 1, true), emitted)
    end
  end)

  it("takes integers as i64 also where they are doubles or uint64, and as f64", function()
    local results, letters = apply_to({ k = 1 }, function(_, out)
      out:emit({ n = 3.0, f = 7, k = 5ULL, t = 2 ^ 40 })
      out:emit({ f = 9LL })
    end, { schema = SCHEMA })
    assert.same({}, letters)
    assert.same({ { n = 3, f = 7, k = 5, t = 2 ^ 40 }, { f = 9 } }, results)
  end)

  it("is kept by sw.copy beyond its call, with strings set in place", function()
    local kept = {}
    local t = open(function(event)
      if event.n == 2 then event.s = "set in place" end
      kept[#kept + 1] = sw.copy(event)
    end)
    for n = 1, 3 do t:push("events", { n = n, s = "s" .. n }) end
    collectgarbage()
    assert.same({ "s1", "set in place", "s3" }, { kept[1].s, kept[2].s, kept[3].s })
    assert.same({ 1, 2, 3 }, { kept[1].n, kept[2].n, kept[3].n })
    kept[1].s = "changed"
    assert.equal("changed", kept[1].s)
  end)

  it("becomes a table of its own by sw.table, and goes through pairs and sw.str", function()
    local fields, text = {}, nil
    local results = apply_to({ k = 1, s = "x" }, function(event, out)
      for name, value in pairs(event) do fields[name] = value end
      text = sw.str(event)
      local row = sw.table(event)
      row.extra = { event.k }
      out:emit(row)
    end)
    assert.same({ k = 1, s = "x" }, fields)
    assert.equal('{"k":1,"s":"x"}', text)
    assert.same({ { k = 1, s = "x", extra = { 1 } } }, results)
  end)

  it("inside an emitted table becomes a table", function()
    local results = apply_to({ k = 1, s = "x" }, function(event, out) out:emit({ inner = event, list = { event } }) end)
    assert.same({ { inner = { k = 1, s = "x" }, list = { { k = 1, s = "x" } } } }, results)
  end)

  it("of one schema is emitted where another is asked for: by fields", function()
    local narrow = sw.record { k = "f64", s = "string" }
    local problem = error_of({ k = 1, n = 2 }, function(event, out) out:emit(event) end, { schema = narrow })
    assert.is_truthy(problem:find("field 'n' is not in the record", 1, true), problem)
    local results = apply_to({ k = 1, s = "x" }, function(event, out) out:emit(event) end, { schema = narrow })
    assert.same({ { k = 1, s = "x" } }, results)
  end)

  it("goes to several readers, none of which sees what another sets", function()
    local t = sw.test(function()
      local job = sw.job("readers")
      local s = job:source("events", sw.from.generator(nothing), { schema = SCHEMA })
      for _, name in ipairs({ "a", "b" }) do
        s:map(name, function(event)
          event.n, event.s = event.n + 1, event.s .. name
          return event
        end):to(name .. "s", sw.to.null())
      end
      s:to("untouched", sw.to.null())
      return job
    end)
    t:push("events", { n = 1, s = "x" })
    assert.same({ { n = 2, s = "xa" } }, t:results("as"))
    assert.same({ { n = 2, s = "xb" } }, t:results("bs"))
    assert.same({ { n = 1, s = "x" } }, t:results("untouched"))
  end)

  it("may have more fields than fit one word of presence bits", function()
    local definition, event = {}, {}
    for i = 1, 150 do
      definition["f" .. i] = i % 2 == 0 and "i64" or "string"
      if i % 3 ~= 0 then event["f" .. i] = i % 2 == 0 and i or "s" .. i end
    end
    local t = sw.test(function()
      local job = sw.job("wide")
      job:source("events", sw.from.generator(nothing), { schema = sw.record(definition) }):key_by("f2")
        :map("same", function(e) return e end, { parallelism = 2 }):to("results", sw.to.null())
      return job
    end)
    t:push("events", event)
    assert.same({ event }, t:results("results"))
  end)
end)

describe("the same job with and without its schemas", function()
  local JOB = [[
local sw = require "swlua"
local function record(fields) return sw.args.schemas == 1 and sw.record(fields) or nil end
local bid = record{ auction = "i64", price = "f64", who = "string", ok = "bool", ts = "time" }
local out = record{ auction = "i64", n = "i64", top = "f64", names = "string", ok = "bool" }
local state = record{ n = "i64", top = "f64", names = "string" }
local job = sw.job("bids")
job:source("bids", sw.from.file("bids.jsonl"), { schema = bid, time = "ts" })
  :filter("dear", function(e) return e.price == nil or e.price > 10 end)
  :map("mark", function(e) e.who = (e.who or "nobody") .. "!" e.ok = e.price ~= nil return e end, { schema = bid })
  :key_by("auction")
  :apply("best", function(e, out, s)
    s.n = (s.n or 0) + 1
    if e.price and (s.top == nil or e.price > s.top) then s.top, s.names = e.price, (s.names or "") .. e.who end
    out:emit({ auction = e.auction, n = s.n, top = s.top, names = s.names, ok = e.ok })
  end, { schema = out, state = state, parallelism = 2 })
  :to("results", sw.to.file("out.jsonl"))
return job
]]

  it("gives the same results", function()
    local dir = support.folder()
    finally(function() dir:remove() end)
    dir:write("bids.lua", JOB)
    local lines = {}
    for i = 1, 2000 do
      local auction = i % 11 == 0 and "null" or i % 3 == 0 and "9007199254740993" or tostring(i % 7)
      local price = i % 13 == 0 and "null" or tostring((i * 37 % 101) / 4)
      local who = i % 5 == 0 and "null" or ('"w%d"'):format(i % 17)
      lines[i] = ('{"auction":%s,"price":%s,"who":%s,"ts":%d}'):format(auction, price, who, i)
    end
    dir:write("bids.jsonl", table.concat(lines, "\n"))
    local texts = {}
    for schemas = 0, 1 do
      assert.same({ status = 0, out = "", err = "" }, dir:swlua("bids.lua --workers 2 --set schemas=" .. schemas))
      local rows = {}
      for line in dir:read("out.jsonl"):gmatch("[^\n]+") do
        local fields = {}
        for field in line:sub(2, -2):gmatch('"[^"]*":[^,]*') do fields[#fields + 1] = field end
        table.sort(fields)
        rows[#rows + 1] = table.concat(fields, ",")
      end
      table.sort(rows)
      texts[schemas] = table.concat(rows, "\n")
      assert.is_true(#rows > 1000)
    end
    assert.equal(texts[0], texts[1])
  end)
end)
