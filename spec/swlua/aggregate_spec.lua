--- Aggregators, one by one, against what their names say in the plainest way.
local sw = require("swlua")
local accumulators = require("swlua.internal.accumulators")

local function nothing() end

--- Aggregates events { ts, v, ... } in one window: of tables, or of records.
local function aggregate(fields, events, options)
  options = options or {}
  local t = sw.test(function()
    local job = sw.job("aggregate")
    job:source("in", sw.from.generator(nothing), { time = "ts", max_delay = "1d", schema = options.schema })
      :window(options.window or sw.tumbling("1h")):aggregate("w", fields):to("rows", sw.to.null())
    return job
  end)
  for _, event in ipairs(events) do t:push("in", event) end
  t:finish()
  return t:results("rows"), t:dead_letters()
end

local function result(aggregator, events, options)
  local rows = aggregate({ r = aggregator }, events, options)
  return rows[1] and rows[1].r
end

local function of_values(list)
  local events = {}
  for i, v in ipairs(list) do events[i] = { ts = i, v = v } end
  return events
end

--- Events with random times and values, some without a value.
local function random_events(seed, count)
  math.randomseed(seed)
  local events, taken = {}, {}
  for i = 1, count do
    local ts = math.random(0, 3599999)
    while taken[ts] do ts = math.random(0, 3599999) end
    taken[ts] = true
    events[i] = { ts = ts, v = math.random(10) > 1 and math.random(-40, 40) / 4 or nil, id = i }
  end
  return events
end

-- The model: each from all events at once --------------------------------------------------------------------------

local function values_of(events)
  local sorted, out = {}, {}
  for _, event in ipairs(events) do
    if event.v ~= nil then sorted[#sorted + 1] = event end
  end
  table.sort(sorted, function(a, b) return a.ts < b.ts end)
  for i, event in ipairs(sorted) do out[i] = event.v end
  return out, sorted
end

local function best(events, is_better)
  local _, sorted = values_of(events)
  local found
  for _, event in ipairs(sorted) do
    if not found or is_better(event.v, found.v) then found = event end
  end
  return found
end

local function less(a, b) return a < b end
local function greater(a, b) return a > b end

local function total(list)
  local sum = 0
  for _, v in ipairs(list) do sum = sum + v end
  return sum
end

local function different(list)
  local seen, n = {}, 0
  for _, v in ipairs(list) do
    if not seen[v] then seen[v], n = true, n + 1 end
  end
  return n
end

local function at_rank(list, q)
  local sorted = sw.copy(list)
  table.sort(sorted)
  return sorted[math.max(1, math.ceil(q * #sorted))]
end

local MODEL = {
  count = { sw.count(), function(events) return #events end },
  chosen = { sw.count(function(event) return event.v and event.v > 0 end), function(events)
    local n = 0
    for _, event in ipairs(events) do n = n + (event.v and event.v > 0 and 1 or 0) end
    return n
  end },
  sum = { sw.sum("v"), function(events) return total((values_of(events))) end },
  doubled = { sw.sum(function(event) return event.v and 2 * event.v end),
    function(events) return 2 * total((values_of(events))) end },
  mean = { sw.mean("v"), function(events)
    local list = values_of(events)
    return #list > 0 and total(list) / #list or nil
  end },
  min = { sw.min("v"), function(events) return (best(events, less) or {}).v end },
  max = { sw.max("v"), function(events) return (best(events, greater) or {}).v end },
  min_by = { sw.min_by("v"), function(events) return best(events, less) end },
  max_by = { sw.max_by("v"), function(events) return best(events, greater) end },
  first = { sw.first("v"), function(events) return values_of(events)[1] end },
  last = { sw.last("v"), function(events)
    local list = values_of(events)
    return list[#list]
  end },
  latest = { sw.last(), function(events)
    local found
    for _, event in ipairs(events) do
      if not found or event.ts > found.ts then found = event end
    end
    return found
  end },
  collect = { sw.collect("v"), function(events) return (values_of(events)) end },
  distinct = { sw.distinct("v"), function(events) return different((values_of(events))) end },
  approx_distinct = { sw.approx_distinct("v"), function(events) return different((values_of(events))) end },
  median = { sw.quantile("v", 0.5), function(events) return at_rank((values_of(events)), 0.5) end },
  highest = { sw.quantile("v", 1), function(events) return at_rank((values_of(events)), 1) end },
}

local function fields()
  local list = {}
  for name, pair in sw.pairs(MODEL) do list[name] = pair[1] end
  return list
end

--- approx_distinct of so few values may be off by two.
local function assert_model(events, row)
  for name, pair in sw.pairs(MODEL) do
    local expected = pair[2](events)
    if name == "approx_distinct" then
      assert.near(expected, row[name], 2)
    else
      assert.same({ [name] = expected }, { [name] = row[name] })
    end
  end
end

describe("aggregators together", function()
  for seed = 1, 10 do
    it("give what each says of random events, seed " .. seed, function()
      local events = random_events(seed, seed == 1 and 1 or 120)
      assert_model(events, aggregate(fields(), events)[1])
    end)

    it("give the same of records, seed " .. seed, function()
      local events = random_events(seed, 60)
      local schema = sw.record({ ts = "time", v = "f64", id = "i64" })
      assert_model(events, aggregate(fields(), events, { schema = schema })[1])
    end)
  end

  it("give nothing, or none, where no event has a value", function()
    local row = aggregate(fields(), { { ts = 1, id = 1 } })[1]
    assert.same({ count = 1, chosen = 0, sum = 0, doubled = 0, latest = { ts = 1, id = 1 }, collect = sw.array(),
      distinct = 0, approx_distinct = 0, window_start = 0, window_end = 3600000 }, row)
  end)
end)

--- Accumulators of parts, merged in some order, are that of the whole; what is merged in stays as it was.
local function merged(content, parts)
  local list = {}
  for i, events in ipairs(parts) do
    local acc = content.new()
    local add = content.operator(function() return acc end, nil, function() return events.now end)
    for _, event in ipairs(events) do
      events.now = event.ts
      add(event, nil, nil)
    end
    list[i] = acc
  end
  local all = content.new()
  for _, acc in ipairs(list) do
    local before = sw.str(acc)
    content.merge(all, acc)
    assert.equal(before, sw.str(acc))
  end
  return content.row(nil, 0, 0, all)
end

describe("accumulators", function()
  local slots = {}
  for name, aggregator in sw.pairs(fields()) do slots[#slots + 1] = { name = name, aggregator = aggregator } end

  for seed = 1, 10 do
    it("of parts are merged in any order to that of the whole, seed " .. seed, function()
      local events, parts = random_events(seed, 700), { {}, {}, {}, {} }
      local content = accumulators.compile(slots, {}, true)
      for _, event in ipairs(events) do table.insert(parts[math.random(#parts)], event) end
      local expected = sw.str(merged(content, { events }))
      for _, order in ipairs({ { 1, 2, 3, 4 }, { 4, 3, 2, 1 }, { 2, 4, 1, 3 } }) do
        local list = {}
        for i, k in ipairs(order) do list[i] = parts[k] end
        assert.equal(expected, sw.str(merged(content, list)))
      end
    end)
  end

  it("are merged too where one has been through a checkpoint", function()
    local t = sw.test(function()
      local job = sw.job("aggregate", { delivery = "exactly-once" })
      job:source("in", sw.from.generator(nothing), { time = "ts", max_delay = "2h" }):key_by("k")
        :window(sw.session("30m")):aggregate("w", fields()):to("rows", sw.to.null())
      return job
    end)
    local events = random_events(3, 240)
    table.insert(events, { ts = 1800000, v = 1, id = 0 })
    for i, event in ipairs(events) do
      t:push("in", event)
      if i % 60 == 0 then
        t:checkpoint()
        t:crash()
        t:restore()
      end
    end
    t:finish()
    assert.equal(1, #t:results("rows"))
    assert_model(events, t:results("rows")[1])
  end)
end)

describe("sw.sum", function()
  local big = 9007199254740992

  it("of integers is exact beyond 2^53", function()
    local sum = result(sw.sum("v"), of_values({ big - 1, 1, 1, 1 }))
    assert.equal("9007199254740994", sw.str(sum))
    assert.equal("9007199254740995", sw.str(result(sw.sum("v"), of_values({ big - 1, 1, 1, 1, 1 }))))
    assert.equal(big - 1, result(sw.sum("v"), of_values({ big - 1, 1, 1, -2 })))
    assert.equal("9223372036854775807", sw.str(result(sw.sum("v"), of_values({ 9223372036854775800LL, 7 }))))
  end)

  it("of integers up to 2^63 is an error of the event beyond", function()
    local rows, letters = aggregate({ r = sw.sum("v") }, of_values({ 9223372036854775807LL, 1, -1 }))
    assert.equal("9223372036854775806", sw.str(rows[1].r))
    assert.equal(1, #letters)
    assert.matches("beyond 2^63", letters[1].error, 1, true)
    local _, of_unsigned = aggregate({ r = sw.sum("v") }, of_values({ 9223372036854775808ULL }))
    assert.matches("beyond 2^63", of_unsigned[1].error, 1, true)
  end)

  it("of numbers with decimals is a double, however large", function()
    assert.equal(2e300, result(sw.sum("v"), of_values({ 1e300, 1e300 })))
    assert.equal(big + 0.5, result(sw.sum("v"), of_values({ 0.5, big })))
  end)

  it("of sliding windows is exact too", function()
    local rows = aggregate({ r = sw.sum("v") }, of_values({ big - 1, 1, 1 }), { window = sw.sliding("2ms", "1ms") })
    assert.equal("9007199254740993", sw.str(rows[2].r + 1))
    assert.equal(2, rows[3].r)
  end)
end)

describe("sw.min and sw.max", function()
  it("order strings too, and integers beyond 2^53", function()
    assert.equal("a", result(sw.min("v"), of_values({ "b", "a", "c" })))
    assert.equal("c", result(sw.max("v"), of_values({ "b", "c", "a" })))
    local list = of_values({ 9007199254740993LL, 5, -9007199254740995LL, 18446744073709551615ULL })
    assert.equal("18446744073709551615", sw.str(result(sw.max("v"), list)))
    assert.equal("-9007199254740995", sw.str(result(sw.min("v"), list)))
  end)

  it("pass NaN over", function()
    assert.equal(2, result(sw.min("v"), of_values({ 0 / 0, 3, 2, 0 / 0 })))
    assert.is_nil(result(sw.max("v"), of_values({ 0 / 0 })))
  end)

  it("of equal values name the earliest event", function()
    local events = { { ts = 7, v = 1, id = "late" }, { ts = 3, v = 1, id = "early" }, { ts = 5, v = 2, id = "other" } }
    assert.equal("early", result(sw.min_by("v"), events).id)
    assert.equal("other", result(sw.max_by("v"), events).id)
  end)
end)

describe("sw.distinct", function()
  it("tells values of different types apart, and 1 and 1.0 not", function()
    local list = of_values({ 1, 1.0, "1", true, "true", "\0\0true", 9007199254740993LL, "9007199254740993" })
    assert.equal(7, result(sw.distinct("v"), list))
  end)
end)

describe("sw.approx_distinct", function()
  for _, n in ipairs({ 1, 10, 100, 1000, 3000, 10000, 12000, 50000, 200000 }) do
    it(("is within three standard errors of %d numbers, and of strings"):format(n), function()
      local sketches = require("swlua.internal.sketches")
      local numbers, strings = {}, {}
      for i = 1, n do
        sketches.add_distinct(numbers, i * 1.5)
        sketches.add_distinct(strings, "user-" .. i)
        if i % 3 == 0 then sketches.add_distinct(numbers, i * 1.5) end
      end
      assert.near(n, sketches.distinct(numbers), math.max(1, 3 * 0.01625 * n))
      assert.near(n, sketches.distinct(strings), math.max(1, 3 * 0.01625 * n))
    end)
  end
end)

describe("sw.quantile", function()
  it("is exact of up to 256 values, and within 1 % of more", function()
    math.randomseed(5)
    for _, count in ipairs({ 1, 2, 255, 256, 257, 5000 }) do
      local list = {}
      for i = 1, count do list[i] = math.exp(math.random() * 20 - 10) * (i % 3 - 1) end
      local fields_of_q, qs = {}, { 0, 0.01, 0.25, 0.5, 0.9, 0.999, 1 }
      for i, q in ipairs(qs) do fields_of_q["q" .. i] = sw.quantile("v", q) end
      local row = aggregate(fields_of_q, of_values(list))[1]
      for i, q in ipairs(qs) do
        local exact = at_rank(list, q)
        assert.near(exact, row["q" .. i], count <= 256 and 0 or math.abs(exact) * 0.01 + 1e-12)
      end
    end
  end)

  it("has no place for infinities", function()
    local _, letters = aggregate({ r = sw.quantile("v", 0.5) }, of_values({ math.huge }))
    assert.matches("expected a finite number", letters[1].error, 1, true)
  end)
end)

describe("an aggregator", function()
  it("says what it found where a number belongs", function()
    for _, case in ipairs({ { sw.sum("v"), "sw.sum: field 'v': expected a number, got \"x\"" },
      { sw.mean(function(event) return event.v end), "sw.mean: the value: expected a number" },
      { sw.quantile("v", 0.5), "sw.quantile: field 'v': expected a number" } }) do
      local rows, letters = aggregate({ r = case[1] }, of_values({ "x" }))
      assert.same({}, rows) -- Nothing came of it: there is no window.
      assert.matches(case[2], letters[1].error, 1, true)
      assert.equal("w", letters[1].component)
    end
    local _, letters = aggregate({ r = sw.min("v") }, of_values({ { 1 } }))
    assert.matches("expected a number or a string", letters[1].error, 1, true)
    _, letters = aggregate({ r = sw.min("v") }, of_values({ 1, "a" }))
    assert.matches("have no order", letters[1].error, 1, true)
  end)

  it("reads 64-bit integers of records", function()
    local schema = sw.record({ ts = "time", v = "i64" })
    local events = of_values({ 9007199254740993LL, 2 })
    assert.equal("9007199254740995", sw.str(result(sw.sum("v"), events, { schema = schema })))
    assert.equal(1, math.floor(result(sw.mean("v"), events, { schema = schema }) / 4.5e15))
  end)

  it("keeps events apart from those that others get", function()
    local t = sw.test(function()
      local job = sw.job("apart")
      job:source("in", sw.from.generator(nothing), { time = "ts" }):key_by("k")
        :aggregate("w", { all = sw.collect(), last = sw.last() }):map("spoil", function(row)
          row.last.v, row.all[1].v = "spoilt", "spoilt"
          return row
        end):to("rows", sw.to.null())
      return job
    end)
    t:push("in", { k = 1, ts = 1, v = "a" })
    t:push("in", { k = 1, ts = 2, v = "b" })
    assert.equal("b", t:results("rows")[2].all[2].v)
    assert.equal("a", t:state("w", 1)[1][2].v)
  end)

  it("is refused without a field, with a wrong one, and with one that the schema lacks", function()
    for _, make in ipairs({ sw.sum, sw.mean, sw.min, sw.max, sw.min_by, sw.max_by, sw.distinct, sw.approx_distinct }) do
      assert.error_matches(function() make() end, "sw%.[%a_]+: expected a field name")
      assert.error_matches(function() make(5) end, "expected a field name or a function, got 5")
    end
    assert.error_matches(function() sw.quantile("v") end, "expected a number from 0 to 1")
    assert.error_matches(function()
      aggregate({ r = sw.sum("w") }, {}, { schema = sw.record({ ts = "time", v = "f64" }) })
    end, 'the schema has no field "w"')
  end)
end)

describe("equal aggregators", function()
  it("share what they keep", function()
    local t = sw.test(function()
      local job = sw.job("shared")
      job:source("in", sw.from.generator(nothing), { time = "ts" }):key_by("k")
        :aggregate("w", { a = sw.count(), b = sw.count(), p50 = sw.quantile("v", 0.5), p99 = sw.quantile("v", 0.99) })
        :to("rows", sw.to.null())
      return job
    end)
    t:push("in", { k = 1, ts = 1, v = 5 })
    assert.same({ 1, { n = 1, list = { 5 } } }, t:state("w", 1))
    assert.same({ k = 1, a = 1, b = 1, p50 = 5, p99 = 5 }, t:results("rows")[1])
  end)
end)

describe("a running aggregate", function()
  it("emits its key's updated row with every event, and goes by ttl", function()
    local t = sw.test(function()
      local job = sw.job("running")
      job:source("in", sw.from.generator(nothing), { time = "ts" }):key_by({ "k", "l" })
        :aggregate("w", { n = sw.count(), s = sw.sum("v") }, { ttl = "10s" }):to("rows", sw.to.null())
      return job
    end)
    for _, e in ipairs({ { "a", 0, 1 }, { "b", 1, 5 }, { "a", 9000, 2 }, { "a", 20000, 7 } }) do
      t:push("in", { k = e[1], l = "x", ts = e[2], v = e[3] })
    end
    assert.same({ { k = "a", l = "x", n = 1, s = 1 }, { k = "b", l = "x", n = 1, s = 5 },
      { k = "a", l = "x", n = 2, s = 3 }, { k = "a", l = "x", n = 1, s = 7 } }, t:results("rows"))
  end)

  it("shows the key of a function as key", function()
    local t = sw.test(function()
      local job = sw.job("running")
      job:source("in", sw.from.generator(nothing)):key_by(function(event) return event.v % 2 end)
        :aggregate("w", { n = sw.count() }):to("rows", sw.to.null())
      return job
    end)
    for v = 1, 3 do t:push("in", { v = v }) end
    assert.same({ { key = 1, n = 1 }, { key = 0, n = 1 }, { key = 1, n = 2 } }, t:results("rows"))
  end)

  it("goes on after a crash", function()
    local t = sw.test(function()
      local job = sw.job("running", { delivery = "exactly-once" })
      job:source("in", sw.from.generator(nothing)):key_by("k")
        :aggregate("w", { n = sw.count(), m = sw.min("v") }):to("rows", sw.to.null())
      return job
    end)
    t:push("in", { k = "a", v = 3 })
    t:checkpoint()
    t:push("in", { k = "a", v = 4 })
    t:crash()
    t:restore()
    assert.same({ { k = "a", n = 1, m = 3 }, { k = "a", n = 2, m = 3 } }, t:results("rows"))
  end)
end)

