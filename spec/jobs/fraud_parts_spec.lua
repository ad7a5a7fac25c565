-- The parts of jobs/fraud.lua that need no engine.
package.path = "jobs/?.lua;" .. package.path

local average_ticket = require "fraud.average_ticket"
local decisions = require "fraud.decisions"
local evaluation = require "fraud.evaluation"
local generator = require "fraud.generator"
local geo = require "fraud.geo"
local proximity = require "fraud.proximity"
local score_aggregator = require "fraud.score_aggregator"
local transaction_count = require "fraud.transaction_count"

local BERLIN, PARIS = { lat = 52.52, lon = 13.405 }, { lat = 48.8566, lon = 2.3522 }
local HOUR_MS = 3600000

local function generate(count, seed)
  local transactions, all = generator.new(count, seed), {}
  for event in function() return transactions:next() end do all[#all + 1] = event end
  return all
end

local function json_line(event)
  local names, members = {}, {}
  for name in pairs(event) do names[#names + 1] = name end
  table.sort(names)
  for i, name in ipairs(names) do
    local value = event[name]
    local text = type(value) == "string" and ('"%s"'):format(value)
      or type(value) == "number" and ("%.14g"):format(value) or tostring(value)
    members[i] = ('"%s":%s'):format(name, text)
  end
  return "{" .. table.concat(members, ",") .. "}"
end

describe("fraud.geo.distance_km", function()
  for _, case in ipairs({
    { "no way", 52.52, 13.405, 52.52, 13.405, 0 },
    { "Berlin to Paris", 52.52, 13.405, 48.8566, 2.3522, 877 },
    { "across the date line", 0, 179.5, 0, -179.5, 111 },
    { "pole to pole", 90, 0, -90, 77, 20015 },
  }) do
    local name, lat1, lon1, lat2, lon2, km = unpack(case)
    it(("gives %d km for %s"):format(km, name), function()
      assert.near(km, geo.distance_km(lat1, lon1, lat2, lon2), 1)
    end)
  end
end)

describe("fraud.average_ticket.score", function()
  local function after(amounts)
    local state = {}
    for _, amount in ipairs(amounts) do average_ticket.score({ amount = amount }, state) end
    return state
  end

  it("keeps the running mean and deviation of the amounts' logarithms", function()
    local state = after({ math.exp(1), math.exp(2), math.exp(3), math.exp(6) })
    assert.equal(4, state.n)
    assert.near(3, state.mean, 1e-12)
    assert.near(14, state.m2, 1e-12)
  end)
  it("says nothing before a card has a habit", function()
    assert.equal(0, (average_ticket.score({ amount = 100000 }, after({ 10, 10, 10, 10 }))))
  end)
  it("takes an ordinary amount for ordinary", function()
    assert.equal(0, (average_ticket.score({ amount = 25 }, after({ 20, 30, 22, 18, 35, 27 }))))
  end)
  it("is certain of an absurdly large amount, and says why", function()
    local score, reason = average_ticket.score({ amount = 900 }, after({ 20, 30, 22, 18, 35, 27 }))
    assert.equal(1, score)
    assert.equal("amount far above the card's habit", reason)
  end)
  it("is only half certain of an absurdly small amount", function()
    local score, reason = average_ticket.score({ amount = 0.5 }, after({ 20, 30, 22, 18, 35, 27 }))
    assert.near(0.55, score, 1e-12)
    assert.equal("amount far below the card's habit", reason)
  end)
  it("does not take one theft for the new habit", function()
    local state = after({ 20, 30, 22, 18, 35, 27, 90000 })
    assert.is_true(average_ticket.score({ amount = 900 }, state) > 0.9)
  end)
  it("takes amounts of zero and below as the smallest", function()
    assert.near(0.55, (average_ticket.score({ amount = -5 }, after({ 20, 30, 22, 18, 35, 27 }))), 1e-12)
  end)
end)

describe("fraud.proximity.score", function()
  local state
  before_each(function() state = {} end)
  local function pay(place, hours)
    return proximity.score({ ts = hours * HOUR_MS, lat = place.lat, lon = place.lon }, state)
  end

  it("knows nothing against a card's first place", function() assert.equal(0, (pay(BERLIN, 0))) end)
  it("flags two places sooner than one can travel", function()
    pay(BERLIN, 0)
    local score, reason = pay(PARIS, 0.9)
    assert.equal(0.9, score)
    assert.equal("too far from the last place for the time between", reason)
  end)
  it("accepts a flight below 900 km/h", function()
    pay(BERLIN, 0)
    assert.equal(0, (pay(PARIS, 1)))
  end)
  it("keeps the plausible place, so that the owner at home is not flagged after the thief", function()
    pay(BERLIN, 0)
    pay(PARIS, 0.2)
    assert.equal(0, (pay(BERLIN, 0.4)))
  end)
  it("takes two shops of one town as no journey", function()
    pay(BERLIN, 0)
    assert.equal(0, (pay({ lat = BERLIN.lat + 0.2, lon = BERLIN.lon }, 0)))
  end)
  it("compares an event that comes late by the time between, and keeps the later place", function()
    pay(BERLIN, 10)
    assert.equal(0.9, (pay(PARIS, 9.5)))
    assert.equal(0, (pay(PARIS, 2)))
    assert.equal(10 * HOUR_MS, state.ts)
  end)
  it("passes over a payment without a place", function()
    pay(BERLIN, 0)
    assert.equal(0, (proximity.score({ ts = 1 }, state)))
    assert.equal(0, state.ts)
  end)
end)

describe("fraud.transaction_count.score", function()
  local function reasons_at(times)
    local state, reasons = {}, {}
    for i, ts in ipairs(times) do
      local _, reason = transaction_count.score({ ts = ts }, state)
      reasons[i] = reason or "-"
    end
    return reasons, state
  end

  it("counts the payments of the minute that ends with this one", function()
    assert.same({ "-", "2 payments within a minute", "3 payments within a minute" }, (reasons_at({ 0, 30000, 59999 })))
  end)
  it("no longer counts a payment of a minute ago", function()
    assert.same({ "-", "-" }, (reasons_at({ 0, 60000 })))
  end)
  it("is not split by the boundary of a minute", function()
    assert.same({ "-", "2 payments within a minute" }, (reasons_at({ 59000, 61000 })))
  end)
  it("counts for a late payment the minute that ends with it", function()
    assert.same({ "-", "-", "2 payments within a minute" }, (reasons_at({ 60500, 121500, 120000 })))
  end)
  it("rises with the count and never beyond certainty", function()
    local state, last = {}, -1
    for ts = 1, 100 do
      local score = transaction_count.score({ ts = ts }, state)
      assert.is_true(score >= last and score < 1)
      last = score
    end
  end)
  it("keeps a bounded number of times, however long the burst", function()
    local times = {}
    for i = 1, 1000 do times[i] = i end
    local _, state = reasons_at(times)
    assert.equal(64, #state)
    assert.equal(1000, state[64])
  end)
end)

describe("fraud.score_aggregator", function()
  local NAMES = { "average-ticket", "proximity", "transaction-count" }
  local out, state
  before_each(function()
    state, out = {}, { emitted = {}, timers = {} }
    function out:emit(event) table.insert(self.emitted, event) end
    function out:processing_timer(duration, name) self.timers[name] = duration end
    function out:cancel(name) self.timers[name] = nil end
  end)
  local function partial(name, score, reason)
    out.from = name
    local event = { id = 7, card = "c1", amount = 12, fraud = true, score = score, reason = reason }
    score_aggregator:apply(event, out, state)
  end
  local function fire(name)
    out.timers[name] = nil
    score_aggregator:on_timer(0, out, state, name)
  end

  it("adds suspicions up like independent chances", function()
    assert.near(0.9, score_aggregator.combine({ proximity = 0.9 }), 1e-12)
    assert.near(0.75, score_aggregator.combine({ ["average-ticket"] = 0.5, ["transaction-count"] = 0.5 }), 1e-12)
  end)
  it("decides as soon as all three scores are in, with the reasons in a fixed order", function()
    partial("transaction-count", 0.5, "often")
    partial("average-ticket", 0.6, "much")
    assert.same({}, out.emitted)
    partial("proximity", 0)
    assert.same({ {
      id = 7, card = "c1", amount = 12, fraud = true, score = 0.8, reasons = { "much", "often" }, flagged = true,
    } }, out.emitted)
  end)
  it("leaves neither state nor timers behind", function()
    for _, name in ipairs(NAMES) do partial(name, 0) end
    assert.same({}, state)
    assert.same({}, out.timers)
  end)
  it("does not flag a score below 0.7", function()
    partial("average-ticket", 0.69)
    partial("proximity", 0)
    partial("transaction-count", 0)
    assert.is_false(out.emitted[1].flagged)
  end)
  it("decides 20 ms after the first score on those that came", function()
    partial("proximity", 0.9, "far")
    assert.same({ decide = "20ms" }, out.timers)
    fire("decide")
    assert.equal(0.9, out.emitted[1].score)
    assert.same({ "far" }, out.emitted[1].reasons)
  end)
  it("decides once: a score that comes later changes nothing", function()
    partial("proximity", 0.9)
    fire("decide")
    partial("average-ticket", 1)
    partial("transaction-count", 1)
    assert.equal(1, #out.emitted)
    assert.same({}, state)
    assert.same({}, out.timers)
  end)
  it("forgets a transaction whose other scores never come", function()
    partial("proximity", 0.9)
    fire("decide")
    fire("forget")
    assert.same({}, state)
  end)
end)

describe("fraud.evaluation", function()
  it("counts hits, false alarms and misses", function()
    local e = evaluation.new()
    e:add({ flagged = true, fraud = true })
    e:add({ flagged = true, fraud = true })
    e:add({ flagged = true })
    e:add({ flagged = false, fraud = true })
    e:add({ flagged = false, fraud = false })
    assert.equal("precision 0.67 recall 0.67 (tp 2 fp 1 fn 1 of 5)", e:summary())
  end)
  it("has nothing to say about unlabelled transactions", function()
    local e = evaluation.new()
    e:add({ flagged = true })
    assert.is_nil(e:summary())
  end)
  it("gives no ratio of nothing", function()
    local e = evaluation.new()
    e:add({ flagged = false, fraud = false })
    assert.equal("precision - recall - (tp 0 fp 0 fn 0 of 1)", e:summary())
  end)
end)

describe("fraud.decisions", function()
  local function written(rows)
    local file, parts = {}, {}
    function file.setvbuf() return true end
    function file.flush() return true end
    function file.write(_, ...)
      for _, part in ipairs({ ... }) do parts[#parts + 1] = part end
      return true
    end
    local sink = decisions.sink(file)
    sink:setup_instance({ id = 0, count = 1 })
    for _, row in ipairs(rows) do sink:apply(row) end
    sink:close()
    return table.concat(parts)
  end

  it("prints flagged transactions, and the summary as the last line", function()
    local flagged = { id = 3, card = "c1", amount = 9.5, score = 0.9, reasons = { "a", "b" } }
    flagged.flagged, flagged.fraud = true, true
    local unflagged = { id = 4, card = "c1", amount = 1, score = 0, reasons = {}, flagged = false }
    assert.equal('{"id":3,"card":"c1","amount":9.5,"score":0.9,"reasons":["a","b"]}\n'
      .. "precision 1.00 recall 1.00 (tp 1 fp 0 fn 0 of 2)\n", written({ flagged, unflagged }))
  end)
  it("prints ids beyond 2^53 with all their digits", function()
    local line = decisions.line({ id = 9007199254740993LL, card = "c", amount = 1, score = 1, reasons = {} })
    assert.truthy(line:find('"id":9007199254740993,', 1, true))
  end)
  it("escapes what JSON cannot hold, and prints null for what is absent", function()
    local line = decisions.line({ id = 1, card = 'a"b\\\n\1', score = 1, reasons = {} })
    assert.equal([[{"id":1,"card":"a\"b\\\n\u0001","amount":null,"score":1,"reasons":[]}]], line)
  end)
  it("fails when standard output cannot be written", function()
    local full = { setvbuf = function() end, write = function() return nil, "No space left on device" end }
    local sink = decisions.sink(full)
    sink:setup_instance({ id = 0, count = 1 })
    assert.error_matches(function()
      sink:apply({ id = 1, card = "c", amount = 1, score = 1, reasons = {}, flagged = true })
    end, "No space left on device")
  end)
end)

describe("fraud.generator", function()
  it("makes as many transactions as asked for, in order of time, with ids from 1", function()
    local all = generate(3000, 5)
    assert.equal(3000, #all)
    for i, event in ipairs(all) do
      assert.equal(i, event.id)
      assert.is_true(i == 1 or event.ts >= all[i - 1].ts)
    end
  end)
  it("makes none if none is asked for", function() assert.same({}, generate(0, 1)) end)
  it("makes the same for the same seed, and others for another", function()
    assert.same(generate(500, 9), generate(500, 9))
    assert.is_not.same(generate(500, 9), generate(500, 10))
  end)
  it("labels every fraud with its kind, and all three kinds occur", function()
    local kinds = {}
    for _, event in ipairs(generate(5000, 2)) do
      assert.equal(event.fraud == true, event.kind ~= nil)
      if event.kind then kinds[event.kind] = true end
    end
    assert.same({ overspend = true, stolen = true, testing = true }, kinds)
  end)
  it("still makes the sample that ships", function()
    local line_number = 0
    local all = generate(5000, 1)
    for line in io.lines("jobs/samples/transactions.jsonl") do
      line_number = line_number + 1
      assert.equal(line, json_line(all[line_number]))
    end
    assert.equal(5000, line_number)
  end)
end)
