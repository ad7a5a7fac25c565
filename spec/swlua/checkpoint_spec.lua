local sw = require("swlua")

--- A job with one keyed operator between a source and a sink.
local function counting(options, operator, operator_options)
  return function()
    local job = sw.job("counting", options)
    job:source("words", sw.from.generator(function() return nil end))
      :key_by("word"):apply("count", operator, operator_options):to("counts", sw.to.null())
    return job
  end
end

local function count_table(event, out, state)
  state.n = (state.n or 0) + 1
  out:emit({ word = event.word, n = state.n })
end

local EXACTLY = { delivery = "exactly-once" }

describe("keyed state after a crash", function()
  local shapes = {
    ["a table"] = { count_table },
    ["a record"] = { count_table, { state = sw.record({ n = "i64" }) } },
  }
  for shape, arguments in pairs(shapes) do
    it("in " .. shape .. " is that of the last checkpoint, and what came behind is processed again", function()
      local t = sw.test(counting(EXACTLY, arguments[1], arguments[2]))
      for _ = 1, 3 do t:push("words", { word = "a" }) end
      t:push("words", { word = "b" })
      assert.equal(1, t:checkpoint())
      t:push("words", { word = "a" })
      t:push("words", { word = "c" })
      t:crash()
      t:restore()
      assert.equal(4, t:state("count", "a").n)
      assert.equal(1, t:state("count", "b").n)
      assert.equal(1, t:state("count", "c").n)
      assert.same({ 1, 2, 3, 1, 4, 1 }, (function()
        local list = {}
        for i, row in ipairs(t:results("counts")) do list[i] = row.n end
        return list
      end)())
      t:close()
    end)
  end

  it("is that of the last checkpoint where the key is a number", function()
    for _, options in ipairs({ {}, { state = sw.record({ n = "i64" }) } }) do
      local t = sw.test(counting(EXACTLY, count_table, options))
      for _, word in ipairs({ 1, 2, 1 }) do t:push("words", { word = word }) end
      t:checkpoint()
      t:push("words", { word = 1 }) -- found where it was found before, and to be saved again
      t:checkpoint()
      t:crash()
      t:restore()
      assert.equal(3, t:state("count", 1).n)
      assert.equal(1, t:state("count", 2).n)
      t:close()
    end
  end)

  it("is what it was before the first checkpoint: nothing", function()
    local t = sw.test(counting(EXACTLY, count_table))
    t:push("words", { word = "a" })
    t:crash()
    t:restore()
    assert.equal(1, t:state("count", "a").n)
    assert.equal(1, #t:results("counts"))
  end)

  it("lacks what was pushed behind the checkpoint where nothing is guaranteed", function()
    local t = sw.test(counting({}, count_table))
    t:push("words", { word = "a" })
    t:checkpoint()
    t:push("words", { word = "a" })
    t:crash()
    t:restore()
    assert.equal(1, t:state("count", "a").n)
  end)

  it("goes on over many checkpoints, of which each holds what changed", function()
    local t = sw.test(counting(EXACTLY, count_table))
    local expected = {}
    for round = 1, 12 do
      for n = 1, 30 do
        local word = "w" .. (n * round) % 17
        expected[word] = (expected[word] or 0) + 1
        t:push("words", { word = word })
      end
      if round % 3 ~= 0 then t:checkpoint() end
      if round % 2 == 0 then
        t:crash()
        t:restore()
      end
      for word, n in pairs(expected) do assert.equal(n, t:state("count", word).n) end
    end
  end)

  it("does not bring back a key whose table was emptied", function()
    local t = sw.test(counting(EXACTLY, function(event, _, state)
      state.n = not event.stop and 1 or nil
    end))
    t:push("words", { word = "a" })
    t:push("words", { word = "b" })
    t:checkpoint()
    t:push("words", { word = "a", stop = true })
    t:checkpoint()
    t:crash()
    t:restore()
    assert.is_nil(t:state("count", "a"))
    assert.equal(1, t:state("count", "b").n)
  end)

  it("keeps nested tables, 64-bit integers and binary strings", function()
    local kept = { list = { 1, 2.5, "x" }, map = { deep = { yes = true } }, big = 9007199254740993LL, bin = "\0\255" }
    local t = sw.test(counting(EXACTLY, function(_, _, state)
      for name, value in pairs(kept) do state[name] = value end
    end))
    t:push("words", { word = "a" })
    t:checkpoint()
    t:crash()
    t:restore()
    assert.equal(sw.str(kept), sw.str(t:state("count", "a")))
  end)
end)

describe("timers after a crash", function()
  local function reminding()
    local job = sw.job("reminding", EXACTLY)
    job:source("events", sw.from.generator(function() return nil end), { time = "ts" })
      :key_by("k"):apply("remind", {
        apply = function(_, event, out, state)
          state.k = event.k
          if event.cancel then return out:cancel(event.ts + 1000) end
          out:timer(event.ts + 1000)
          out:processing_timer("1m", "late")
        end,
        on_timer = function(_, time, out, state, name) out:emit({ k = state.k, time = time, name = name }) end,
      }):to("out", sw.to.null())
    return job
  end

  it("fire as if there had been none", function()
    local t = sw.test(reminding)
    t:push("events", { k = "a", ts = 1 })
    t:push("events", { k = "b", ts = 2 })
    t:checkpoint()
    t:crash()
    t:restore()
    t:advance_watermark(1001)
    assert.same({ { k = "a", time = 1001 } }, t:results("out"))
    t:checkpoint()
    t:crash()
    t:restore()
    t:advance_watermark(5000)
    assert.same({ { k = "a", time = 1001 }, { k = "b", time = 1002 } }, t:results("out"))
    t:advance("2m")
    assert.equal(4, #t:results("out"))
    assert.equal("late", t:results("out")[4].name)
  end)
end)

describe("instance state", function()
  local function summing(options)
    return function()
      local job = sw.job("summing", EXACTLY)
      local operator = {
        setup_instance = function(self, instance, state)
          self.sum, self.was_restored = state and state.sum or 0, instance.restored
        end,
        apply = function(self, event, out)
          self.sum = self.sum + event.n
          out:emit({ sum = self.sum, restored = self.was_restored })
        end,
        get_state = function(self) return { sum = self.sum } end,
      }
      for name, value in pairs(options or {}) do operator[name] = value end
      job:source("numbers", sw.from.generator(function() return nil end)):apply("sum", operator):to("out", sw.to.null())
      return job
    end
  end

  it("is what get_state returned at the checkpoint", function()
    local t = sw.test(summing())
    t:push("numbers", { n = 5 })
    assert.is_false(t:results("out")[1].restored)
    t:checkpoint()
    t:crash()
    t:restore()
    t:push("numbers", { n = 2 })
    assert.same({ sum = 7, restored = true }, t:results("out")[2])
  end)

  it("that get_state cannot give ends the job with component and reason", function()
    local t = sw.test(summing({ get_state = function() error("no luck") end }))
    assert.error_matches(function() t:checkpoint() end, "summing/sum#0: get_state: .*no luck")
  end)

  it("that cannot be saved ends the job with component and path", function()
    local t = sw.test(summing({ get_state = function() return { a = { f = print } } end }))
    assert.error_matches(function() t:checkpoint() end, "summing/sum#0: get_state: .*a%.f")
  end)
end)
