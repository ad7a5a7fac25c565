--- Windows against a plain model of them, on random events: in order and far out of it, in time and late, with crashes
-- in the middle of windows, and restored with other numbers of instances.
local sw = require("swlua")
local model = require("spec.fixtures.window_model")

local function nothing() end

local function open(window, options, fill)
  return sw.test(function()
    local job = sw.job("windows", { delivery = "exactly-once" })
    local source = job:source("in", sw.from.generator(nothing), { time = "ts", max_delay = options.max_delay .. "ms" })
    local windowed = source:key_by("k"):window(window)
    local rows = fill(windowed)
    rows:to("rows", sw.to.null())
    rows:output("late"):to("late", sw.to.null())
    return job
  end)
end

local FILLS = {
  aggregate = function(windowed) return windowed:aggregate("w", { v = sw.collect("v") }) end,
  process = function(windowed)
    return windowed:process("w", function(window, events, out)
      local row = { k = window.key, window_start = window.window_start, window_end = window.window_end,
        window_state = window.window_state, replaces = window.replaces, v = {} }
      for i, event in ipairs(events) do row.v[i] = event.v end
      out:emit(row)
    end)
  end,
}

local WINDOWS = {
  tumbling = { { length = 1000, slide = 1000, offset = 300 }, function(o) return sw.tumbling("1s", "300ms", o) end },
  sliding = { { length = 1000, slide = 250 }, function(o) return sw.sliding("1s", "250ms", o) end },
  uneven = { { length = 1000, slide = 400 }, function(o) return sw.sliding("1s", "400ms", o) end },
  fine = { { length = 1000, slide = 7 }, function(o) return sw.sliding("1s", "7ms", o) end },
  session = { { gap = 150 }, function(o) return sw.session("150ms", o) end },
}

local function texts(rows)
  local list = {}
  for i, row in ipairs(rows) do
    list[i] = ("%s %d-%d %s %s %s"):format(row.k, row.window_start, row.window_end, sw.str(row.v),
      row.state or row.window_state or "-", sw.str(row.replaces))
  end
  return list
end

local function run(name, fill, events, options)
  local spec, make = unpack(WINDOWS[name])
  local lateness = options.lateness
  local t = open(make(lateness and { lateness = lateness .. "ms" } or {}), options, FILLS[fill])
  for i, event in ipairs(events) do
    t:push("in", event)
    if options.crash_at and options.crash_at[i] then options.crash_at[i](t) end
  end
  t:finish()
  local rows, late = model.run(spec, events, options)
  if not lateness then
    for _, row in ipairs(rows) do row.state = nil end
  end
  local found = { rows = texts(t:results("rows")), late = t:results("late"), count = t:counters("w").late }
  return { rows = texts(rows), late = late, count = #late }, found
end

local function crash(t)
  t:crash()
  t:restore()
end

local SPREAD = 400

describe("windows give what their definition says", function()
  for _, name in ipairs({ "tumbling", "sliding", "uneven", "session" }) do
    for fill in sw.pairs(FILLS) do
      for seed = 1, 6 do
        it(("%s, %s, events within the bound, seed %d"):format(name, fill, seed), function()
          local events = model.events(seed, { keys = 3, count = 150, spread = SPREAD, step = 100 })
          local expected, found = run(name, fill, events, { max_delay = SPREAD })
          assert.same(expected, found)
          assert.equal(0, found.count)
        end)

        it(("%s, %s, events behind it, seed %d"):format(name, fill, seed), function()
          local events = model.events(seed, { keys = 2, count = 150, spread = 1500, step = 100 })
          local expected, found = run(name, fill, events, { max_delay = 100 })
          assert.same(expected, found)
          assert.is_true(found.count > 0)
        end)

        it(("%s, %s, some of them in time for a correction, seed %d"):format(name, fill, seed), function()
          local events = model.events(seed, { keys = 2, count = 150, spread = 2500, step = 100 })
          local expected, found = run(name, fill, events, { max_delay = 100, lateness = 330 })
          assert.same(expected, found)
          assert.is_true(found.count > 0)
        end)
      end
    end
  end

  it("also where panes are many", function()
    local events = model.events(1, { keys = 2, count = 40, spread = SPREAD, step = 100 })
    local expected, found = run("fine", "aggregate", events, { max_delay = 100, lateness = 5 })
    assert.same(expected, found)
  end)
end)

describe("crashes in the middle of windows change nothing", function()
  for _, name in ipairs({ "tumbling", "sliding", "session" }) do
    for seed = 1, 4 do
      it(("%s, seed %d"):format(name, seed), function()
        local events = model.events(seed, { keys = 3, count = 120, spread = 1000, step = 100 })
        local crash_at = { [20] = crash }
        for i = 30, 120, 10 do crash_at[i] = i % 20 == 0 and crash or function(t) t:checkpoint() end end
        local expected, found = run(name, "aggregate", events, { max_delay = 200, lateness = 330, crash_at = crash_at })
        expected.count, found.count = nil, nil -- Counters begin anew.
        assert.same(expected, found)
      end)
    end
  end
end)

describe("restored with another number of instances, windows give the same rows", function()
  for _, name in ipairs({ "tumbling", "sliding", "session" }) do
    it(name, function()
      local events = model.events(7, { keys = 9, count = 200, spread = SPREAD, step = 100 })
      local function with(parallelism)
        return function(t)
          t:checkpoint()
          t:crash()
          t.job.settings.parallelism = parallelism
          t:restore()
        end
      end
      local expected, found = run(name, "aggregate", events,
        { max_delay = SPREAD, crash_at = { [50] = with(3), [100] = with(2), [150] = with(5) } })
      table.sort(expected.rows)
      table.sort(found.rows)
      assert.same(expected.rows, found.rows)
    end)
  end
end)
