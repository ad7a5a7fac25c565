-- jobs/fraud.lua as a whole, in the engine. Its parts: fraud_parts_spec.lua.
package.path = "jobs/?.lua;" .. package.path

local sw = require "swlua"
local evaluation = require "fraud.evaluation"
local generator = require "fraud.generator"

local MINUTE_MS = 60000
local BERLIN, TOKYO = { 52.52, 13.41 }, { 35.68, 139.69 }

describe("the fraud job", function()
  local t, id
  before_each(function() t, id = sw.test("jobs/fraud.lua"), 0 end)

  local function pay(card, minute, amount, place)
    id = id + 1
    place = place or BERLIN
    t:push("transactions",
      { id = id, ts = math.floor(minute * MINUTE_MS + 0.5), card = card, amount = amount, lat = place[1],
        lon = place[2] })
    return id
  end
  local function habit(card)
    for i, amount in ipairs({ 20, 30, 22, 18, 35, 27 }) do pay(card, i * 10, amount) end
  end
  local function decision_on(transaction)
    for _, decision in ipairs(t:results("decisions")) do
      if decision.id == transaction then return decision end
    end
  end

  it("decides every transaction once, without waiting when all three scores are in", function()
    habit("c1")
    local seen = {}
    for i, decision in ipairs(t:results("decisions")) do seen[i] = decision.id end
    table.sort(seen)
    assert.same({ 1, 2, 3, 4, 5, 6 }, seen)
  end)
  it("does not flag what is usual for the card", function()
    habit("c1")
    local decision = decision_on(pay("c1", 100, 25))
    assert.is_false(decision.flagged)
    assert.same({}, decision.reasons)
  end)
  it("flags an amount far above the card's own habit, not above another's", function()
    habit("c1")
    local flagged = decision_on(pay("c1", 100, 900))
    assert.is_true(flagged.flagged)
    assert.same({ "amount far above the card's habit" }, flagged.reasons)
    assert.is_false(decision_on(pay("c2", 100, 900)).flagged)
  end)
  it("flags one card at two places sooner than one can travel", function()
    pay("c1", 0, 20)
    local flagged = decision_on(pay("c1", 60, 20, TOKYO))
    assert.is_true(flagged.flagged)
    assert.same({ "too far from the last place for the time between" }, flagged.reasons)
    assert.is_false(decision_on(pay("c2", 60, 20, TOKYO)).flagged)
  end)
  it("flags a burst of payments that no fixed minute holds", function()
    for i = 0, 4 do pay("c1", 0.8 + i * 0.1, 20) end
    local flagged = decision_on(pay("c1", 1.3, 20))
    assert.is_true(flagged.flagged)
    assert.same({ "6 payments within a minute" }, flagged.reasons)
  end)
  it("flags tiny payments in a row sooner than either sign alone would", function()
    habit("c1")
    assert.is_false(decision_on(pay("c1", 100, 0.9)).flagged)
    assert.is_true(decision_on(pay("c1", 100.1, 0.9)).flagged)
  end)
  it("decides after 20 ms on the scores that came when an analyzer fails", function()
    pay("c1", 0, 20)
    local transaction = pay("c1", 60, nil, TOKYO) -- Without an amount average-ticket raises an error.
    t:advance("19ms")
    assert.is_nil(decision_on(transaction))
    t:advance("1ms")
    local flagged = decision_on(transaction)
    assert.equal(0.9, flagged.score)
    assert.is_true(flagged.flagged)
  end)
  it("keeps no state of a transaction that is decided", function()
    local transaction = pay("c1", 0, 20)
    assert.is_truthy(decision_on(transaction))
    assert.same({}, t:state("score-aggregator", transaction) or {})
  end)
  it("finds most frauds with few false alarms, on transactions it was not tuned on", function()
    local transactions, judged = generator.new(5000, 2024), evaluation.new()
    for event in function() return transactions:next() end do
      t:push("transactions", {
        id = event.id, ts = event.ts, card = event.card, amount = event.amount,
        lat = event.lat, lon = event.lon, fraud = event.fraud,
      })
    end
    for _, decision in ipairs(t:results("decisions")) do judged:add(decision) end
    assert.equal(5000, judged.total)
    assert.is_true(judged:precision() > 0.8, judged:summary())
    assert.is_true(judged:recall() > 0.8, judged:summary())
  end)
end)
