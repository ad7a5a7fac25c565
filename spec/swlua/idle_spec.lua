local sw = require("swlua")

--- Two sources, of which the second may be idle; a timer per event says how far the watermark has come.
local function two(idle)
  return function()
    local job = sw.job("idle")
    local function source(name, options)
      options.time, options.max_delay = "ts", "1s"
      return job:source(name, sw.from.generator(function() return nil end), options)
    end
    sw.union(source("busy", {}), source("quiet", { idle = idle }))
      :key_by("k"):apply("remind", {
        apply = function(_, event, out) out:timer(event.ts) end,
        on_timer = function(_, time, out) out:emit({ due = time }) end,
      }):to("out", sw.to.null())
    return job
  end
end

local function due(t)
  local list = {}
  for i, row in ipairs(t:results("out")) do list[i] = row.due end
  return list
end

describe("a source that has fallen silent", function()
  it("holds the watermark back until it counts as idle", function()
    local t = sw.test(two({ after = "10s", advance = false }))
    t:push("quiet", { k = 1, ts = 1000 })
    t:push("busy", { k = 1, ts = 50000 })
    assert.same({}, due(t))
    t:advance("9s")
    assert.same({}, due(t))
    t:advance("2s")
    assert.same({ 1000 }, due(t))
    t:push("busy", { k = 1, ts = 52000 })
    assert.same({ 1000, 50000 }, due(t))
  end)

  it("holds it back again when it goes on", function()
    local t = sw.test(two({ after = "10s", advance = false }))
    t:push("quiet", { k = 1, ts = 1000 })
    t:push("busy", { k = 1, ts = 20000 })
    t:advance("11s")
    t:push("quiet", { k = 1, ts = 30000 })
    t:push("busy", { k = 1, ts = 90000 })
    assert.same({ 1000, 20000 }, due(t))
    t:push("quiet", { k = 1, ts = 80000 })
    assert.same({ 1000, 20000, 30000 }, due(t))
  end)

  it("lets time go on with the clock when all are silent, from the greatest time seen", function()
    local function one()
      local job = sw.job("one")
      job:source("live", sw.from.stdin(), { time = "ts", max_delay = "1s", idle = "5s" })
        :key_by("k"):apply("remind", {
          apply = function(_, event, out) out:timer(event.ts + 20000) end,
          on_timer = function(_, time, out) out:emit({ due = time }) end,
        }):to("out", sw.to.null())
      return job
    end
    local t = sw.test(one)
    t:push("live", { k = 1, ts = 1000 })
    t:advance("20s") -- The watermark stands at 0 + 20 s.
    assert.same({}, due(t))
    t:advance("2s")
    assert.same({ 21000 }, due(t))
    t:push("live", { k = 1, ts = 9000 }) -- behind the watermark, which does not step back for it
    t:advance("1s")
    assert.same({ 21000 }, due(t))
  end)

  it("does not move time where it is told not to", function()
    local t = sw.test(two({ after = "1s", advance = false }))
    t:push("quiet", { k = 1, ts = 1000 })
    t:advance("1h")
    assert.same({}, due(t))
  end)
end)
