local sw = require("swlua")

local function numbers()
  return sw.from.generator(function(i)
    return { n = i }
  end)
end

local function source(options)
  local job = sw.job("a")
  return job:source("s", numbers(), options), job
end

local function last(job)
  return job.components[#job.components]
end

local function refused(fn, text)
  local ok, message = pcall(fn)
  assert.is_false(ok, "expected an error")
  assert.is_truthy(message:match("stream_spec.lua:%d+: "), message)
  assert.is_truthy(message:find(text, 1, true), message)
end

describe("a stream", function()
  for _, op in ipairs({ "map", "filter", "flat_map", "apply" }) do
    it("takes " .. op .. " with a plain function", function()
      local stream, job = source()
      stream[op](stream, "x", print, { parallelism = 2, on_error = "skip", queue = 16, ttl = "1h" })
      local made = last(job)
      assert.same({ 2, op, "operator", print }, { made.index, made.op, made.kind, made.fn })
      assert.same({ parallelism = 2, on_error = "skip", queue = 16, ttl_ms = 3600000 }, made.options)
      assert.same({
        { from = 1, output = "default", grouping = { kind = "forward" }, stream = "s" },
      }, made.inputs)
    end)
  end

  it("takes a table of functions as operator, with members of the user's own", function()
    local stream, job = source()
    local usage = { version = 2, apply = function() end, limits = { 1, 2 } }
    stream:apply("usage", usage)
    assert.equal(usage, last(job).operator)
    assert.is_nil(last(job).fn)
    assert.equal(2, last(job).options.version)
  end)

  for _, case in ipairs({
    { {}, 'component "x": a custom operator needs the function apply' },
    { { apply = 1 }, '"apply" of the operator must be a function, got 1' },
    { { apply = print, on_timer = "x" }, '"on_timer" of the operator must be a function, got "x"' },
    { { apply = print, version = 0 }, '"version" of the operator must be a whole number' },
    { { apply = print, state = {} }, '"state" of the operator must be a schema made by sw.record' },
    { "double", 'expected a function or a table of functions, got "double"' },
  }) do
    it("refuses an operator that is none: " .. case[2], function()
      refused(function()
        source():apply("x", case[1])
      end, case[2])
    end)
  end

  it("refuses functions that are none, and calls without a name", function()
    refused(function()
      source():map("x", 5)
    end, 'component "x": expected a function, got 5')
    refused(function()
      source():map(print, print)
    end, "the first argument is the component's name, got a function")
    refused(function()
      source():event_time("x", nil)
    end, 'component "x": the time must be a field name or a function, got nil')
  end)

  it("refuses calls with a dot", function()
    local stream = source()
    refused(function()
      stream.map("x", print)
    end, "map is called with a colon: stream:map(...)")
  end)

  it("suggests the method that was meant", function()
    refused(function()
      source():fliter("x", print)
    end, "streams have no method 'fliter' (did you mean \"filter\"?)")
  end)

  it("assigns event time by a component of its own", function()
    local stream, job = source()
    stream:event_time("when", "ts", { max_delay = "2s", idle = "1m" })
    local made = last(job)
    assert.same({ "event_time", "ts" }, { made.op, made.time })
    assert.same({ max_delay_ms = 2000, idle_ms = 60000 }, made.options)
  end)
end)

describe("schemas on the way", function()
  local trade = sw.record({ card = "string", amount = "f64" })

  it("pass through filter, and end at map", function()
    local stream, job = source({ schema = trade })
    stream:filter("f", print):map("m", print)
    assert.equal(trade, job.components[2].schema)
    assert.is_nil(job.components[3].schema)
  end)

  it("come from the options of map, flat_map and apply", function()
    local stream, job = source()
    stream:map("m", print, { schema = trade })
    assert.equal(trade, last(job).schema)
  end)

  it("tell a key field that does not exist", function()
    refused(function()
      source({ schema = trade }):key_by("crad")
    end, 'key_by on s: the schema has no field "crad" (did you mean "card"?)')
  end)

  it("do not bind named outputs", function()
    source({ schema = trade }):output("malformed"):key_by("where")
  end)

  it("of state are the operator table's, or the options'", function()
    local stream, job = source()
    local keyed = stream:key_by("n")
    keyed:apply("x", { apply = print, state = trade })
    assert.equal(trade, last(job).state_schema)
    keyed:apply("y", print, { state = trade })
    assert.equal(trade, last(job).state_schema)
  end)

  it("of state need a key", function()
    refused(function()
      source():apply("x", print, { state = trade })
    end, "a state schema is for keyed operators: put key_by before it")
  end)
end)

describe("a grouping", function()
  local function grouping(fn)
    local stream, job = source()
    fn(stream):map("m", print)
    local made = last(job)
    return made.inputs[1].grouping, made
  end

  it("leaves the stream it was made of as it was", function()
    local stream, job = source()
    stream:shuffle()
    stream:map("m", print)
    assert.equal("forward", last(job).inputs[1].grouping.kind)
  end)

  for _, kind in ipairs({ "shuffle", "broadcast", "global" }) do
    it("by " .. kind .. " takes no arguments", function()
      assert.equal(kind, grouping(function(s)
        return s[kind](s)
      end).kind)
      refused(function()
        local s = source()
        s[kind](s, 2)
      end, kind .. " takes no arguments, got 2")
    end)
  end

  it("by key takes a field, a list of fields or a function", function()
    assert.same({ "card" }, grouping(function(s)
      return s:key_by("card")
    end).fields)
    assert.same({ "city", "street" }, grouping(function(s)
      return s:key_by({ "city", "street" })
    end).fields)
    local by_function, made = grouping(function(s)
      return s:key_by(print)
    end)
    assert.same({ "key", print, true }, { by_function.kind, by_function.fn, made.keyed })
    assert.is_nil(by_function.fields)
  end)

  it("by key refuses anything else", function()
    for _, key in ipairs({ "", 5, {}, { "a", "a" }, { "a", 1 }, { a = "b" }, { "a", b = "c" }, true }) do
      refused(function()
        source():key_by(key)
      end, "key_by: expected a field name")
    end
    refused(function()
      source():key_by("a", "b")
    end, 'several fields are a list: key_by({ "a", "b" })')
  end)

  it("by partition takes a function", function()
    assert.equal(print, grouping(function(s)
      return s:partition(print)
    end).fn)
    refused(function()
      source():partition("shard")
    end, 'partition: expected a function (event, n), got "shard"')
  end)

  it("replaces the one before", function()
    local by, made = grouping(function(s)
      return s:key_by("n"):shuffle()
    end)
    assert.equal("shuffle", by.kind)
    assert.is_false(made.keyed)
  end)

  it("says where it was named", function()
    local by = grouping(function(s)
      return s:shuffle()
    end)
    assert.is_truthy(by.where:match("stream_spec.lua:%d+$"))
  end)
end)

describe("an output", function()
  it("is a stream of the component that made it", function()
    local stream, job = source()
    stream:key_by("n"):output("malformed"):print()
    assert.same({
      { from = 1, output = "malformed", grouping = { kind = "forward" }, stream = "s:malformed" },
    }, last(job).inputs)
  end)

  it("is refused on a union and on dead letters, which no component made", function()
    local stream, job = source()
    refused(function()
      sw.union(stream, stream:map("m", print)):output("x")
    end, 'output "x": stream s + m has no named outputs')
    refused(function()
      job:dead_letters():output("x")
    end, "has no named outputs")
    refused(function()
      stream:output(5)
    end, "the first argument is the output's name, got 5")
  end)
end)

describe("sw.union", function()
  it("is a stream of all inputs, and a grouping of it is one of each", function()
    local stream, job = source()
    local other = stream:map("m", print)
    sw.union(stream, other, other:output("odd")):key_by("n"):apply("x", print)
    local names = {}
    for i, input in ipairs(last(job).inputs) do
      names[i] = input.stream .. " by " .. input.grouping.kind
    end
    assert.same({ "s by key", "m by key", "m:odd by key" }, names)
    assert.is_true(last(job).keyed)
  end)

  it("keeps the groupings its streams have", function()
    local stream, job = source()
    sw.union(stream:key_by("n"), stream:broadcast()):apply("x", print)
    assert.is_false(last(job).keyed)
    assert.equal("broadcast", last(job).inputs[2].grouping.kind)
  end)

  it("refuses streams of two jobs, and what is no stream", function()
    local one = source()
    local other = sw.job("b"):source("t", numbers())
    refused(function()
      sw.union(one, other)
    end, 'sw.union: stream t is of job "b", and the others are of job "a"')
    refused(function()
      sw.union(one, {})
    end, "sw.union: argument 2 must be a stream, got a table")
    refused(function()
      sw.union()
    end, "sw.union: expected streams, got none")
  end)
end)

describe("a sink", function()
  it("ends the stream", function()
    local stream, job = source()
    assert.equal(0, select("#", stream:to("out", sw.to.file("out.jsonl"))))
    assert.same({ "sink", "sink", true }, { last(job).kind, last(job).op, last(job).single })
  end)

  it("on a path with {instance} may have many instances", function()
    local stream, job = source()
    stream:to("out", sw.to.file("out-{instance}.jsonl"), { parallelism = 4 })
    assert.is_false(last(job).single)
  end)

  it("may be a table of functions", function()
    local stream, job = source()
    local custom = { apply = function() end }
    stream:to("out", custom)
    assert.equal(custom, last(job).operator)
  end)

  for _, case in ipairs({
    { {}, nil, 'component "out": a custom sink needs the function apply' },
    { "out.jsonl", nil, 'expected a connector from sw.to or a table of functions, got "out.jsonl"' },
    { sw.from.stdin(), nil, "sw.from.stdin is no sink: those are in sw.to" },
    { sw.to.file("x"), { parallelism = 2 }, 'parallelism 2 is not possible (a path with "{instance}"' },
    { sw.to.stdout(), { parallelism = 2 }, "sw.to.stdout has one instance" },
    { sw.to.null(), { schema = sw.record({ a = "i64" }) }, 'unknown option "schema"' },
  }) do
    it("is refused when it cannot be: " .. case[3], function()
      refused(function()
        source():to("out", case[1], case[2])
      end, case[3])
    end)
  end

  it("does not write another sink's file", function()
    local stream = source()
    stream:to("one", sw.to.file("out.jsonl"))
    refused(function()
      stream:to("two", sw.to.file("out.jsonl"))
    end, 'component "two": the file "out.jsonl" is written by component "one" too')
  end)
end)

describe("print", function()
  it("is a sink on standard output, whose name is its label, made unique", function()
    local stream, job = source()
    for _, label in ipairs({ false, false, "s", "totals" }) do
      stream:print(label or nil)
    end
    local names = {}
    for i = 2, #job.components do
      names[#names + 1] = job.components[i].name
      assert.equal("stdout", job.components[i].connector.type)
    end
    assert.same({ "print", "print-2", "s-2", "totals" }, names)
  end)

  it("refuses a label that is no text", function()
    refused(function()
      source():print({})
    end, "got a table")
  end)
end)
