local sw = require("swlua")

local function nothing() return nil end

--- A job with two sources, joined as `build(left, right)` says, ending in the sink "rows".
local function two(build, options)
  return function()
    local job = sw.job("two", options)
    local time = { time = "ts", max_delay = "10s" }
    build(job:source("left", sw.from.generator(nothing), time), job:source("right", sw.from.generator(nothing), time))
      :to("rows", sw.to.null())
    return job
  end
end

local function pair(l, r) return { l = l and l.v, r = r and r.v } end

--- Rows as sorted texts, for sides come in no order.
local function rows(t)
  local list = {}
  for i, row in ipairs(t:results("rows")) do list[i] = tostring(row.l) .. "-" .. tostring(row.r) end
  table.sort(list)
  return list
end

describe("a stream joined with a table", function()
  local function open(type)
    return sw.test(two(function(left, right)
      return left:join("j", right:table("t", "k"), { on = "k", type = type, row = pair })
    end))
  end

  it("gives a row per event, against the table as it stands", function()
    local t = open("inner")
    t:push("left", { k = 1, v = "a", ts = 1 })
    t:push("right", { k = 1, v = "x", ts = 2 })
    t:push("left", { k = 1, v = "b", ts = 3 })
    t:push("right", { k = 1, v = "y", ts = 4 })
    t:push("left", { k = 1, v = "c", ts = 5 })
    t:push("right", { k = 1, deleted = true, ts = 6 })
    t:push("left", { k = 1, v = "d", ts = 7 })
    assert.same({ "b-x", "c-y" }, rows(t))
  end)

  it("of type left gives events without a match too", function()
    local t = open("left")
    t:push("left", { k = 1, v = "a", ts = 1 })
    t:push("left", { v = "b", ts = 1 })
    assert.same({ "a-nil", "b-nil" }, rows(t))
  end)

  it("of type full gives rows that met nothing when input ends", function()
    local t = open("full")
    t:push("right", { k = 1, v = "x", ts = 1 })
    t:push("right", { k = 2, v = "y", ts = 1 })
    t:push("left", { k = 1, v = "a", ts = 1 })
    t:push("left", { k = 3, v = "b", ts = 1 })
    t:finish()
    assert.same({ "a-x", "b-nil", "nil-y" }, rows(t))
  end)

  it("tells the age of the row", function()
    local t = sw.test(two(function(left, right)
      local function age_of(l, _, age) return { l = l.v, r = age } end
      return left:join("j", right:table("t", "k"), { on = "k", row = age_of })
    end))
    t:push("right", { k = 1, v = "x", ts = 1000 })
    t:push("left", { k = 1, v = "a", ts = 4000 })
    assert.same({ "a-3000" }, rows(t))
  end)

  it("loses rows whose ttl has passed", function()
    local t = sw.test(two(function(left, right)
      return left:join("j", right:table("t", "k", { ttl = "1s" }), { on = "k", type = "left", row = pair })
    end))
    t:push("right", { k = 1, v = "x", ts = 1000 })
    t:push("left", { k = 1, v = "a", ts = 1500 })
    t:advance_watermark(2000)
    t:push("left", { k = 1, v = "b", ts = 2500 })
    assert.same({ "a-x", "b-nil" }, rows(t))
  end)

  it("as of the event's time waits for the watermark, whatever order things come in", function()
    local t = sw.test(two(function(left, right)
      return left:join("j", right:table("t", "k"), { on = "k", type = "left", as_of = true, row = pair })
    end))
    t:push("left", { k = 1, v = "a", ts = 5000 })
    t:push("left", { k = 1, v = "b", ts = 2500 })
    t:push("right", { k = 1, v = "x", ts = 2000 })
    t:push("right", { k = 1, v = "z", ts = 6000 })
    t:push("right", { k = 1, v = "y", ts = 3000 })
    assert.same({}, rows(t))
    t:advance_watermark(20000)
    assert.same({ "a-y", "b-x" }, rows(t))
  end)
end)

describe("two streams joined within an interval", function()
  local function open(type)
    return sw.test(two(function(left, right)
      return left:join("j", right, { on = "k", type = type, within = { "-1s", "2s" }, row = pair })
    end))
  end

  it("give the pairs whose times are within it, bounds included", function()
    local t = open("inner")
    t:push("left", { k = 1, v = "a", ts = 10000 })
    for i, ts in ipairs({ 8999, 9000, 12000, 12001 }) do t:push("right", { k = 1, v = "r" .. i, ts = ts }) end
    t:push("right", { k = 2, v = "other", ts = 10000 })
    assert.same({ "a-r2", "a-r3" }, rows(t))
  end)

  it("of type full give what met nothing once nothing can come any more", function()
    local t = open("full")
    t:push("left", { k = 1, v = "a", ts = 10000 })
    t:push("right", { k = 1, v = "x", ts = 10500 })
    t:push("left", { k = 1, v = "b", ts = 20000 })
    t:push("right", { k = 1, v = "y", ts = 15000 })
    assert.same({ "a-x" }, rows(t))
    t:finish()
    assert.same({ "a-x", "b-nil", "nil-y" }, rows(t))
  end)

  it("count events behind the watermark as late", function()
    local t = open("inner")
    t:advance_watermark(50000)
    t:push("left", { k = 1, v = "a", ts = 40000 })
    assert.equal(1, t:counters("j").late)
    assert.same({}, rows(t))
  end)

  it("keep nothing that no event can meet", function()
    local t = open("inner")
    for i = 1, 100 do
      t:push("left", { k = 1, v = "l" .. i, ts = i * 1000 })
      t:push("right", { k = 1, v = "r" .. i, ts = i * 1000 })
    end
    assert.is_true(#t:state("j", 1).left < 20)
    assert.is_true(#t:state("j", 1).right < 20)
  end)

  it("are what they were after a crash", function()
    local function run(crashes)
      local t = sw.test(two(function(left, right)
        return left:join("j", right, { on = "k", type = "full", within = { "-1s", "2s" }, row = pair })
      end, { delivery = "exactly-once" }))
      for i = 1, 60 do
        t:push(i % 2 == 0 and "left" or "right", { k = i % 5, v = i, ts = 10000 + (i * 7919) % 9000 })
        if crashes and i % 7 == 0 then t:checkpoint() end
        if crashes and i % 10 == 0 then
          t:crash()
          t:restore()
        end
      end
      t:finish()
      return rows(t)
    end
    assert.same(run(false), run(true))
  end)
end)

describe("two streams joined without bounds", function()
  it("give each pair once, whichever side comes first", function()
    local t = sw.test(two(function(left, right) return left:join("j", right, { on = { "k", "id" }, row = pair }) end))
    t:push("left", { k = 1, v = "a", ts = 1 })
    t:push("right", { id = 1, v = "x", ts = 90000 })
    t:push("left", { k = 1, v = "b", ts = 2 })
    t:push("right", { id = 2, v = "y", ts = 3 })
    t:push("left", { v = "none", ts = 3 })
    t:push("right", { v = "none", ts = 3 })
    assert.same({ "a-x", "b-x" }, rows(t))
  end)

  it("of type left give what met nothing when input ends, or when its ttl has passed", function()
    local t = sw.test(two(function(left, right)
      return left:join("j", right, { on = "k", type = "left", ttl = "1s", row = pair })
    end))
    t:push("left", { k = 1, v = "a", ts = 1000 })
    t:advance_watermark(5000)
    assert.same({ "a-nil" }, rows(t))
    t:push("left", { k = 1, v = "b", ts = 6000 })
    t:finish()
    assert.same({ "a-nil", "b-nil" }, rows(t))
  end)

  it("merge fields, left's first", function()
    local t = sw.test(two(function(left, right) return left:join("j", right, { on = "k" }) end))
    t:push("left", { k = 1, v = "a", ts = 1 })
    t:push("right", { k = 1, v = "x", w = true, ts = 2 })
    assert.same({ { k = 1, v = "a", w = true, ts = 1 } }, t:results("rows"))
  end)
end)

describe("two tables joined", function()
  it("are a table: a change of either side makes a row, or takes it away", function()
    local t = sw.test(two(function(left, right)
      return left:table("l", "k"):join("j", right:table("r", "k"), {
        row = function(l, r) return { k = l.k, l = l.v, r = r.v } end,
      }):changes()
    end))
    t:push("left", { k = 1, v = "a", ts = 1 })
    t:push("right", { k = 1, v = "x", ts = 2 })
    t:push("left", { k = 1, v = "b", ts = 3 })
    t:push("right", { k = 1, deleted = true, ts = 4 })
    assert.same({
      { k = 1, l = "a", r = "x" }, { k = 1, l = "b", r = "x" }, { k = 1, l = "b", r = "x", deleted = true },
    }, t:results("rows"))
  end)
end)

describe("a join is refused", function()
  local function refused(spec, text)
    assert.error_matches(function()
      two(function(left, right) return left:join("j", right, spec) end)()
    end, text)
  end
  it("without on", function() refused({}, 'needs "on"') end)
  it("with a type there is not", function() refused({ on = "k", type = "outer" }, "inner") end)
  it("with an interval that is none", function() refused({ on = "k", within = { "5s", "-5s" } }, "two durations") end)
  it("with as_of of two streams", function() refused({ on = "k", as_of = true }, "takes no as_of") end)
  it("with something that is no stream", function()
    assert.error_matches(function() two(function(left) return left:join("j", {}, { on = "k" }) end)() end,
      "Expected a stream or a table")
  end)
end)
