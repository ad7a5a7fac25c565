local sw = require("swlua")

local function nothing() end

local function open(build, options)
  return sw.test(function()
    local job = sw.job("graph", options)
    build(job)
    return job
  end)
end

local function push_numbers(t, source, count)
  for n = 1, count do t:push(source, { n = n }) end
end

local function numbers_of(rows)
  local numbers = {}
  for i, row in ipairs(rows) do numbers[i] = row.n end
  return numbers
end

describe("11: fan-out of one stream", function()
  it("gives each downstream component every event", function()
    local t = open(function(job)
      local s = job:source("events", sw.from.generator(nothing))
      s:map("fused", function(event) return event end):to("a", sw.to.null())
      s:shuffle():map("shuffled", function(event) return event end, { parallelism = 2 }):to("b", sw.to.null())
      s:key_by("n"):map("keyed", function(event) return event end):to("c", sw.to.null())
      s:to("d", sw.to.null())
    end)
    push_numbers(t, "events", 5)
    for _, sink in ipairs({ "a", "b", "c", "d" }) do
      local numbers = numbers_of(t:results(sink))
      table.sort(numbers)
      assert.same({ 1, 2, 3, 4, 5 }, numbers)
    end
  end)

  it("lets no branch see what another does to its event", function()
    local t = open(function(job)
      local s = job:source("events", sw.from.generator(nothing))
      for _, name in ipairs({ "left", "right" }) do
        s:map(name, function(event)
          event.n, event.nested.by = event.n + 1, (event.nested.by or "") .. name
          return event
        end):to(name .. "s", sw.to.null())
      end
    end)
    t:push("events", { n = 1, nested = {} })
    assert.same({ { n = 2, nested = { by = "left" } } }, t:results("lefts"))
    assert.same({ { n = 2, nested = { by = "right" } } }, t:results("rights"))
  end)

  it("lets a slow branch stop its siblings only through its own full queue", function()
    local function consumed_at_end(count)
      local consumed, at_end = { slow = 0, fast = 0 }, nil
      local t = open(function(job)
        local s = job:source("events", sw.from.generator(nothing)):flat_map("burst", function(event, emit)
          for n = 1, event.count do emit({ n = n }) end
          at_end = sw.copy(consumed)
        end)
        for name, queue in pairs({ slow = 8, fast = 512 }) do
          s:shuffle():map(name, function(event)
            consumed[name] = consumed[name] + 1
            return event
          end, { queue = queue }):to(name .. "s", sw.to.null())
        end
      end)
      t:push("events", { count = count })
      assert.same({ slow = count, fast = count }, consumed)
      return at_end
    end
    assert.same({ slow = 0, fast = 0 }, consumed_at_end(8))
    assert.is_true(consumed_at_end(100).slow >= 92)
  end)
end)

describe("12: fan-out by outputs", function()
  local function split(_, event, out)
    out:emit_to(event.n % 2 == 0 and "even" or "odd", event)
    if event.n == 3 then out:emit(event) end
  end

  it("lets each component hear the output it asked for", function()
    local t = open(function(job)
      local s = job:source("events", sw.from.generator(nothing)):apply("split", { apply = split })
      s:output("even"):to("evens", sw.to.null())
      s:output("odd"):key_by("n"):map("tens", function(event) return { n = event.n * 10 } end):to("odds", sw.to.null())
      s:to("defaults", sw.to.null())
    end)
    push_numbers(t, "events", 5)
    assert.same({ 2, 4 }, numbers_of(t:results("evens")))
    assert.same({ 10, 30, 50 }, numbers_of(t:results("odds")))
    assert.same({ 3 }, numbers_of(t:results("defaults")))
  end)

  it("drops what goes to an output that nobody reads, and counts it", function()
    local t = open(function(job)
      local s = job:source("events", sw.from.generator(nothing)):apply("split", { apply = split })
      s:output("even"):to("evens", sw.to.null())
    end)
    push_numbers(t, "events", 5)
    assert.equal(4, t:counters("split").unread) -- 1, 3, 5 to "odd", and 3 to the default
    assert.equal(6, t:counters("split").out)
    assert.same({}, t:dead_letters())
  end)
end)

describe("13: fan-in", function()
  local function count_from(event, out) out:emit({ n = event.n, from = out.from }) end

  it("feeds a component the sum of n streams, and tells which one an event came by", function()
    local t = open(function(job)
      local a = job:source("a", sw.from.generator(nothing))
      local b = job:source("b", sw.from.generator(nothing))
      local c = job:source("c", sw.from.generator(nothing)):apply("split", function(event, out)
        out:emit_to("half", { n = event.n / 2 })
      end)
      sw.union(a, b, c:output("half")):apply("all", count_from):to("results", sw.to.null())
    end)
    push_numbers(t, "a", 3)
    push_numbers(t, "b", 2)
    push_numbers(t, "c", 1)
    local from = {}
    for _, row in ipairs(t:results("results")) do from[row.from] = (from[row.from] or 0) + 1 end
    assert.same({ a = 3, b = 2, ["split:half"] = 1 }, from)
  end)

  it("does so across keyed channels, and inside one task", function()
    local t = open(function(job)
      local s = job:source("events", sw.from.generator(nothing))
      local left = s:map("left", function(event) return { n = event.n } end)
      local right = s:map("right", function(event) return { n = -event.n } end)
      sw.union(left, right):apply("fused", count_from):to("near", sw.to.null())
      sw.union(left, right):key_by("n"):apply("keyed", count_from, { parallelism = 2 }):to("far", sw.to.null())
    end)
    push_numbers(t, "events", 4)
    for _, sink in ipairs({ "near", "far" }) do
      assert.equal(8, #t:results(sink))
      for _, row in ipairs(t:results(sink)) do assert.equal(row.n > 0 and "left" or "right", row.from) end
    end
  end)
end)

describe("14: the graph", function()
  local function build_error(build)
    local ok, problem = pcall(open, build)
    assert.is_false(ok)
    return tostring(type(problem) == "table" and problem.text or problem)
  end

  it("is refused when it is built for a name that is taken, with both places", function()
    local problem = build_error(function(job)
      local s = job:source("events", sw.from.generator(nothing))
      s:map("twice", nothing)
      s:map("twice", nothing)
    end)
    assert.is_truthy(problem:find('component "twice": the name is taken by the map at ', 1, true))
    assert.is_truthy(problem:find("graphs_spec.lua:%d+"))
  end)

  it("has no cycles: a stream is there before what reads it, also behind dead_letters()", function()
    local t = open(function(job)
      local s = job:source("events", sw.from.generator(nothing))
        :map("fails", function(event) error("no " .. event.n) end)
      s:to("results", sw.to.null())
      job:dead_letters():map("fails too", function() error("never again") end):to("letters", sw.to.null())
    end)
    push_numbers(t, "events", 3)
    assert.same({}, t:results("letters"))
    assert.equal(3, t:counters("fails too").errors)
    assert.equal(3, t:counters("fails").dead_letters)
    assert.equal(0, t:counters("fails too").dead_letters)
  end)
end)

describe("15: a join", function()
  it("is another kind of fan-in: its inputs are told apart", function()
    local t = open(function(job)
      local temperatures = job:source("temperatures", sw.from.generator(nothing))
      local vehicles = job:source("vehicles", sw.from.generator(nothing))
      sw.union(temperatures, vehicles):key_by("zone"):apply("join", function(event, out, state)
        if out.from == "temperatures" then
          state.temperature = event.temperature
        else
          out:emit({ make = event.make, temperature = state.temperature })
        end
      end, { parallelism = 2 }):to("results", sw.to.null())
    end)
    t:push("temperatures", { zone = 1, temperature = 90 })
    t:push("vehicles", { zone = 1, make = "AA" })
    t:push("vehicles", { zone = 2, make = "BB" })
    t:push("temperatures", { zone = 1, temperature = 60 })
    t:push("vehicles", { zone = 1, make = "CC" })
    local rows = { { make = "AA", temperature = 90 }, { make = "BB" }, { make = "CC", temperature = 60 } }
    assert.same(rows, t:results("results"))
  end)
end)
