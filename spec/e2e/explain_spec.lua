local support = require("spec.e2e.support")

local HEAD = [[
local sw = require "swlua"
local job = sw.job("explained")
local Event = sw.record({ n = "f64", kind = "f64", name = "string" })
local function make(i) return { n = i, kind = i % 7, name = i % 2 == 0 and "even" or "odd" } end
local tables = job:source("tables", sw.from.generator(make))
local records = job:source("records", sw.from.generator(make), { schema = Event })
local function unwrapped(name) return (name:gsub("e", "")) end
local function nowhere(stream, name) stream:to(name, sw.to.null()) end
]]

local HEAD_LINES = select(2, HEAD:gsub("\n", ""))

local SOUND = [[
local function chain(stream, prefix, schema)
  nowhere(stream:map(prefix .. "-doubled", function(event)
    return { n = event.n * 2, kind = event.kind, name = event.name }
  end, { schema = schema }):filter(prefix .. "-some", function(event)
    return event.n % 3 ~= 0 and event.name ~= "odd"
  end):key_by("kind"):apply(prefix .. "-counted", function(event, out, state)
    state.count = (state.count or 0) + event.n
    out:emit({ kind = event.kind, count = state.count })
  end), prefix .. "-sink")
end
chain(tables, "table")
chain(records, "record", Event)
nowhere(records:apply("handed-on", function(event, out) out:emit(event) end), "handed-on-sink")
]]

describe("swlua check --explain", function()
  local dir
  before_each(function() dir = support.folder() end)
  after_each(function() dir:remove() end)

  --- The verdicts on a job by component name, and all that was printed.
  local function explained(body, options)
    dir:write("job.lua", HEAD .. body .. "return job\n")
    local result = dir:swlua("check job.lua --explain " .. (options or ""))
    assert.are.same({ 0, "" }, { result.status, result.err })
    local verdicts = {}
    for name, verdict in result.out:gmatch("([^\n]-)%s%s+([^\n]+)") do verdicts[name] = verdict end
    return verdicts, result.out
  end

  local function has(text, part)
    assert.is_truthy(text and text:find(part, 1, true), ("no %q in %s"):format(part, tostring(text)))
  end

  it("says of each component of a plain job that it compiles, and finds nothing in the engine's own loops", function()
    local verdicts = explained(SOUND)
    for _, name in ipairs({ "tables", "records", "table-doubled", "table-some", "table-counted", "record-doubled",
      "record-some", "record-counted", "handed-on" }) do
      assert.are.same({ name, "compiles" }, { name, verdicts[name] })
    end
    assert.is_nil(verdicts["(engine)"])
    assert.is_nil(verdicts["(outside components)"])
  end)

  it("says of windows and running aggregates that what they do with an event compiles", function()
    local verdicts = explained([[
local NOW = 1700000000000
nowhere(tables, "unused")
nowhere(records, "unused-too")
local function keyed(schema, name)
  return job:source(name, sw.from.generator(function(i)
    return { n = i, kind = i % 7, name = "x" }, NOW + i
  end), { schema = schema }):key_by("kind")
end
local FIELDS = { n = sw.count(), sum = sw.sum("n"), mean = sw.mean("n"), low = sw.min("n"), last = sw.last("n"),
  names = sw.approx_distinct("name"), middle = sw.quantile("n", 0.5) }
local WINDOWS = { tumbling = sw.tumbling("1s"), sliding = sw.sliding("1s", "100ms"), session = sw.session("50ms"),
  counted = sw.tumbling(100), late = sw.tumbling("1s", { lateness = "1s" }) }
for name, window in sw.pairs(WINDOWS) do
  nowhere(keyed(Event, name .. "-records"):window(window):aggregate(name, FIELDS), name .. "-sink")
end
nowhere(keyed(nil, "running-tables"):aggregate("running", FIELDS), "running-sink")
nowhere(keyed(nil, "fold-tables"):window(sw.tumbling("1s")):fold("folded", function() return { n = 0 } end,
  function(acc, event)
    acc.n = acc.n + event.n
    return acc
  end), "fold-sink")
]])
    for _, name in ipairs({ "tumbling", "sliding", "session", "counted", "late", "running", "folded" }) do
      assert.are.same({ name, "compiles" }, { name, verdicts[name] })
    end
  end)

  it("names the line where a closure is made for each event, and blames no other component of the chain", function()
    local verdicts = explained([[
nowhere(tables:map("before", function(event) return { n = event.n } end):map("closing", function(event)
  local add = function(x) return x + event.n end
  return { n = add(1) }
end):map("after", function(event) return { n = event.n - 1 } end), "sink")
nowhere(records, "unused")
]])
    assert.equal("interpreted: NYI: bytecode FNEW (a closure is made for each event) at job.lua:"
      .. HEAD_LINES + 2, verdicts.closing)
    assert.are.same({ "compiles", "compiles" }, { verdicts.before, verdicts.after })
  end)

  it("blames a component for a C function that it calls through a helper, and names the helper's line", function()
    local verdicts = explained([[
nowhere(records:map("wrapped", function(event) return { n = #unwrapped(event.name) } end), "sink")
nowhere(tables, "unused")
]])
    assert.equal("interpreted: calls string.gsub (not compiled) at job.lua:7", verdicts.wrapped)
  end)

  it("counts a key function to the component behind it", function()
    local verdicts = explained([[
nowhere(tables:key_by(function(event) return (event.name:gsub("o", "")) end)
  :apply("keyed", function(event, out) out:emit(event) end), "sink")
nowhere(records, "unused")
]])
    has(verdicts.keyed, "calls string.gsub (not compiled) at job.lua:" .. HEAD_LINES + 1)
  end)

  it("says where pairs over a state table stands", function()
    local verdicts = explained([[
nowhere(tables:key_by("kind"):apply("summed", function(event, out, state)
  state[event.name] = event.n
  local sum = 0
  for _, n in pairs(state) do sum = sum + n end
  out:emit({ sum = sum })
end), "sink")
nowhere(records, "unused")
]])
    has(verdicts.summed, "in swlua's pairs at job.lua:" .. HEAD_LINES + 4)
  end)

  it("ends with the given number of events, whatever the rate, and says when they are too few", function()
    local body = [[
local seen = 0
nowhere(job:source("slow", sw.from.generator(make), { rate = 1 }):map("counted", function(event)
  io.write("event\n")
  return event
end), "sink")
nowhere(tables, "a")
nowhere(records, "b")
]]
    -- One event only: LuaJIT's counters of what is hot are shared by hash, so a dozen may be enough for a trace.
    local verdicts, out = explained(body, "--events 1")
    assert.equal(1, select(2, out:gsub("event\n", "")))
    assert.equal("not known: 1 events are too few to tell", verdicts.counted)
  end)

  it("runs no sink and keeps no dead letter", function()
    dir:write("job.lua", HEAD .. [[
tables:map("broken", function() error("always") end):to("file", sw.to.file("out.jsonl"))
records:to("own", { apply = function() io.open("own", "w"):close() end })
return job
]])
    assert.equal(0, dir:swlua("check job.lua --explain").status)
    assert.are.same({ "job.lua" }, dir:list())
  end)

  it("ends with 3 when the script is wrong, with 1 when it cannot be run, with 2 when used wrongly", function()
    dir:write("wrong.lua", "local x = = 1\n")
    assert.equal(3, dir:swlua("check wrong.lua --explain").status)
    dir:write("job.lua", HEAD .. [[nowhere(job:source("in", sw.from.file("none.jsonl")), "sink") return job]])
    local result = dir:swlua("check job.lua --explain")
    has(result.err, "the sample failed")
    assert.equal(1, result.status)
    assert.equal(2, dir:swlua("check job.lua --explain --events none").status)
  end)
end)
