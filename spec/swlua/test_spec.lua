local sw = require("swlua")

--- Counts readings per sensor; says when a sensor has been silent for a second.
local function sensors()
  local job = sw.job("sensors")
  local readings = job:source("readings", sw.from.stdin(), { time = "ts", max_delay = "1s" })
  readings:output("malformed"):to("malformed", sw.to.null())
  readings:key_by("sensor"):apply("counts", {
    apply = function(_, event, out, state)
      if event.fails then error("as asked") end
      state.n = (state.n or 0) + 1
      out:timer(event.ts + 1000, "silent")
      out:processing_timer("5s", "pause")
      out:emit({ n = state.n })
    end,
    on_timer = function(_, time, out, state, name) out:emit({ [name] = time, n = state.n }) end,
    get_state = function() return { answer = 42 } end,
  }):to("rows", sw.to.null())
  return job
end

describe("sw.test", function()
  local t
  before_each(function() t = sw.test(sensors) end)
  after_each(function() t:close() end)

  it("gives what was pushed to the job at once, with the time its source reads", function()
    t:push("readings", { sensor = "a", ts = 10 })
    t:push("readings", { sensor = "a", ts = 20 })
    assert.same({ { n = 1 }, { n = 2 } }, t:results("rows"))
    assert.same({ n = 2 }, t:state("counts", "a"))
    assert.is_nil(t:state("counts", "b"))
    assert.same({ answer = 42 }, t:state("counts"))
  end)

  it("takes for a named output events without the field that gives the time", function()
    t:push_to("readings", "malformed", { raw = "{", error = "cut off", where = "in.jsonl:1" })
    assert.same({ { raw = "{", error = "cut off", where = "in.jsonl:1" } }, t:results("malformed"))
    assert.equal(0, t:counters("readings").malformed)
  end)

  it("calls a pushed event without a time malformed", function()
    t:push("readings", { sensor = "a" })
    assert.equal(1, #t:results("malformed"))
    assert.equal(1, t:counters("readings").malformed)
  end)

  it("moves the watermark by a duration from where it stands, or to a time", function()
    t:push("readings", { sensor = "a", ts = 3000 })
    t:advance_watermark("1999ms")
    assert.equal(1, #t:results("rows"))
    t:advance_watermark(4000)
    assert.same({ n = 1, silent = 4000 }, t:results("rows")[2])
  end)

  it("moves the clock by a duration, and what falls due happens at its time", function()
    t:push("readings", { sensor = "a", ts = 10 })
    t:advance("4999ms")
    assert.equal(1, #t:results("rows"))
    t:advance("10s")
    assert.same({ n = 1, pause = 5000 }, t:results("rows")[2])
    assert.equal(14999, t:now())
  end)

  it("fires what is left when input ends", function()
    t:push("readings", { sensor = "a", ts = 10 })
    t:finish()
    assert.same({ { n = 1 }, { n = 1, silent = 1010 }, { n = 1, pause = 5000 } }, t:results("rows"))
  end)

  it("keeps dead letters that the job does not read", function()
    t:push("readings", { sensor = "a", ts = 10, fails = true })
    local letter = t:dead_letters()[1]
    assert.equal("counts", letter.component)
    assert.matches("test_spec.lua:%d+: as asked", letter.error)
    assert.same({ sensor = "a", ts = 10, fails = true }, letter.event)
    assert.equal(10, letter.time)
  end)

  it("names the sources and sinks there are when another is asked for", function()
    assert.error_matches(function() t:push("reading", {}) end, 'no source "reading" %(it has readings%)')
    assert.error_matches(function() t:results("row") end, 'no sink "row" %(it has malformed, rows%)')
  end)
end)
