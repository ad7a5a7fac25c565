local sw = require("swlua")
local job_module = require("swlua.job")

local function numbers()
  return sw.from.generator(function(i)
    return { n = i }
  end)
end

--- The line of the call that calls this one.
local function line()
  return debug.getinfo(2, "l").currentline
end

local function message_of(fn)
  local ok, message = pcall(fn)
  assert.is_false(ok, "expected an error")
  return message
end

local function small_job()
  local job = sw.job("small", { parallelism = 2 })
  local source = job:source("numbers", numbers(), { time = "n", max_delay = "2s" })
  source:key_by("n"):apply("count", function() end, { parallelism = 3 }):to("out", sw.to.file("out.jsonl"))
  return job
end

describe("sw.job", function()
  it("has the defaults of the contract", function()
    assert.same({
      delivery = "at-most-once", tracking = "checkpoint", ack_timeout_ms = 30000, parallelism = 1,
      checkpoint = { enabled = false, interval_ms = 10000, retain = 3, timeout_ms = 60000 },
      backpressure = { policy = "block", queue = 1024, high = 0.8, low = 0.4 },
      on_error = "dead-letter", restart = { attempts = 3, delay_ms = 1000 }, watchdog_ms = 10000,
    }, sw.job("a").settings)
  end)

  it("converts durations to milliseconds and keeps the defaults beside what is given", function()
    local settings = sw.job("a", {
      delivery = "exactly-once", watchdog = "1.5s", checkpoint = { interval = "5s" },
    }).settings
    assert.equal(1500, settings.watchdog_ms)
    assert.same({ enabled = true, interval_ms = 5000, retain = 3, timeout_ms = 60000 }, settings.checkpoint)
    assert.equal("fail", settings.on_error)
  end)

  it("takes checkpoints at-most-once only when they are asked for", function()
    assert.is_true(sw.job("a", { checkpoint = { retain = 1 } }).settings.checkpoint.enabled)
  end)

  for _, case in ipairs({
    { { paralelism = 2 }, 'job "a": unknown option "paralelism" (did you mean "parallelism"?)' },
    { { checkpoint = { intervall = "1s" } },
      'job "a": unknown option "checkpoint.intervall" (did you mean "interval"?)' },
    { { delivery = "exactly_once" }, 'must be one of "at-most-once", "at-least-once", "exactly-once" (did you mean' },
    { { parallelism = 0 }, 'option "parallelism" must be a whole number from 1 to 128, got 0' },
    { { parallelism = 129 }, "got 129" },
    { { parallelism = 1.5 }, "got 1.5" },
    { { watchdog = "10 seconds" }, 'option "watchdog" must be a duration such as "250ms"' },
    { { watchdog = 10 }, "got 10" },
    { { watchdog = "0s" }, "longer than zero" },
    { { backpressure = { high = 1.5 } }, 'option "backpressure.high" must be a number above 0 and at most 1' },
    { { backpressure = { high = 0.3 } }, '"backpressure.low" (0.4) must be below "backpressure.high" (0.3)' },
    { { backpressure = "drop" }, 'option "backpressure" must be a table, got "drop"' },
    { { delivery = "exactly-once", backpressure = { policy = "drop" } }, 'policy "drop" loses events' },
    { { tracking = "ack" }, 'tracking "ack" goes with delivery "at-least-once" only' },
    { "fast", 'the options must be a table, got "fast"' },
  }) do
    it("refuses what cannot be: " .. case[2], function()
      local message = message_of(function()
        sw.job("a", case[1])
      end)
      assert.is_truthy(message:find(case[2], 1, true), message)
    end)
  end

  it("refuses names that are no names", function()
    for _, name in ipairs({ "", "a:b", "a#1", "a\nb", false, 3 }) do
      assert.error_matches(function()
        sw.job(name)
      end, "name")
    end
    assert.equal("räder/links 2.0", sw.job("räder/links 2.0").name)
  end)

  it("suggests the method that was meant", function()
    assert.error_matches(function()
      sw.job("a"):sourse("x")
    end, "jobs have no method 'sourse' %(did you mean \"source\"%?%)")
  end)
end)

describe("a source", function()
  it("becomes a component without inputs that knows its options and its line", function()
    local job = sw.job("a")
    local at = line() + 1
    job:source("s", numbers(), { rate = 10, idle = { after = "5s", advance = false }, max_ahead = "1h" })
    local component = job.components[1]
    assert.equal("spec/swlua/job_spec.lua:" .. at, component.where:match("spec/.*"))
    assert.same({ rate = 10, idle_ms = 5000, idle_advance = false, max_ahead_ms = 3600000 }, component.options)
    assert.same({ "source", "source", "generator" }, { component.kind, component.op, component.connector.type })
    assert.same({}, component.inputs)
  end)

  it("may be a table of functions", function()
    local custom = { get_events = function() end, helper = 5 }
    local job = sw.job("a")
    job:source("s", custom)
    assert.equal(custom, job.components[1].operator)
    assert.is_nil(job.components[1].connector)
  end)

  for _, case in ipairs({
    { { get_event = function() end }, nil, 'component "s": a custom source needs the function get_events' },
    { { get_events = function() end, close = 1 }, nil, '"close" of the source must be a function, got 1' },
    { "file.jsonl", nil, 'expected a connector from sw.from or a table of functions, got "file.jsonl"' },
    { sw.to.null(), nil, "sw.to.null is no source: those are in sw.from" },
    { sw.from.stdin(), { parallelism = 2 }, "sw.from.stdin has one instance, parallelism 2 is not possible" },
    { numbers(), { tiem = "n" }, 'unknown option "tiem" (did you mean "time"?)' },
    { numbers(), { time = 5 }, 'option "time" must be a field name or a function, got 5' },
    { numbers(), { max_delay = "2 s" }, 'option "max_delay" must be a duration' },
    { numbers(), { rate = 0 }, 'option "rate" must be a number above 0' },
    { numbers(), { journal = true }, 'option "journal" is for sources that cannot be rewound' },
    { numbers(), { schema = { n = "i64" } }, 'option "schema" must be a schema made by sw.record' },
    { numbers(), { schema = sw.record({ n = "i64" }), time = "m" }, 'the schema has no field "m" (did you mean "n"?)' },
    { numbers(), { schema = sw.record({ n = "string" }), time = "n" }, 'field "n" gives event time' },
  }) do
    it("is refused when it cannot be: " .. case[3], function()
      local message = message_of(function()
        sw.job("a"):source("s", case[1], case[2])
      end)
      assert.is_truthy(message:find(case[3], 1, true), message)
    end)
  end

  it("says that it wants a colon", function()
    local job = sw.job("a")
    assert.error_matches(function()
      job.source("s", numbers())
    end, "source is called with a colon: job:source")
  end)
end)

describe("two components of one name", function()
  it("are an error that gives both places", function()
    local job = sw.job("a")
    local first = line() + 1
    local stream = job:source("s", numbers())
    local message = message_of(function()
      stream:map("s", print)
    end)
    local here = ('job_spec.lua:%d: component "s": the name is taken'):format(line() - 2)
    assert.is_truthy(message:find(here, 1, true), message)
    assert.is_truthy(message:match("taken by the source at .*job_spec.lua:" .. first .. "$"), message)
  end)
end)

describe("job:dead_letters", function()
  it("is a stream from nowhere, named dead_letters", function()
    local job = small_job()
    job:dead_letters():to("failed", sw.to.null())
    local input = job.components[#job.components].inputs[1]
    assert.same({ 0, "dead_letters", "dead_letters" }, { input.from, input.output, input.stream })
  end)
end)

describe("job:describe", function()
  it("is plain data", function()
    local function walk(value)
      assert.is_truthy(({ string = true, number = true, boolean = true, table = true })[type(value)], type(value))
      if type(value) ~= "table" then return end
      assert.is_nil(getmetatable(value))
      for k, v in pairs(value) do
        walk(k)
        walk(v)
      end
    end
    local job = small_job()
    job.components[1].connector.fn, job.components[1].options.time = print, print
    walk(job:describe())
  end)

  it("tells a component's name, parallelism, connector and inputs", function()
    local count = small_job():describe().components[2]
    assert.same({ "count", "apply", 3, true }, { count.name, count.op, count.parallelism, count.keyed })
    assert.same({ "n" }, count.inputs[1].grouping.fields)
  end)
end)

describe("job:fingerprint", function()
  it("is equal for the same job built twice", function()
    assert.equal(small_job():fingerprint(), small_job():fingerprint())
  end)

  it("differs when an option differs", function()
    local other = small_job()
    other.components[2].options.parallelism = 4
    assert.not_equal(small_job():fingerprint(), other:fingerprint())
  end)

  it("keeps one line an entry, whatever the texts hold", function()
    local job = sw.job("a")
    job:source("s", sw.from.file("odd\nname"))
    for each in job:fingerprint():gmatch("[^\n]+") do
      assert.is_truthy(each:find(" = ", 1, true), each)
    end
  end)
end)

describe("job:warnings", function()
  it("names each component whose events reach no sink", function()
    local job = small_job()
    local lost = job:source("lost", numbers()):map("lost-too", print)
    local texts = {}
    for i, warning in ipairs(job:warnings()) do
      texts[i] = warning.text
      assert.is_number(warning.line)
    end
    assert.same({
      'component "lost": what it emits reaches no sink', 'component "lost-too": what it emits reaches no sink',
    }, texts)
    lost:print()
    assert.same({}, job:warnings())
  end)
end)

describe("a script's result", function()
  it("must be a job", function()
    for _, value in ipairs({ 1, "job", {} }) do
      assert.error_matches(function()
        job_module.from_script(value, "jobs/a.lua")
      end, "^jobs/a.lua: the script must return its job %(return job%), it returned ")
    end
    assert.error_matches(function()
      job_module.from_script(nil, "jobs/a.lua")
    end, "it returned nothing")
  end)

  it("must be a job with a source", function()
    local message = message_of(function()
      job_module.from_script(sw.job("empty"), "a.lua")
    end)
    assert.is_truthy(message:match('job_spec.lua:%d+: job "empty" has no source$'), message)
  end)

  it("is the job", function()
    local job = small_job()
    assert.equal(job, job_module.from_script(job, "a.lua"))
  end)
end)

describe("job:override", function()
  it("replaces options and keeps the others", function()
    local job = sw.job("a", { watchdog = "1s", checkpoint = { interval = "5s", retain = 7 } })
    job:override({ delivery = "at-least-once", checkpoint = { interval = "1s" } })
    assert.equal(1000, job.settings.watchdog_ms)
    assert.equal("fail", job.settings.on_error)
    assert.same({ enabled = true, interval_ms = 1000, retain = 7, timeout_ms = 60000 }, job.settings.checkpoint)
  end)

  it("leaves the script's own table as it is", function()
    local options = { checkpoint = { interval = "5s" } }
    sw.job("a", options):override({ checkpoint = { interval = "1s" } })
    assert.same({ checkpoint = { interval = "5s" } }, options)
  end)

  it("sets the parallelism of single components", function()
    local job = small_job()
    job:override({}, { count = 8 })
    assert.equal(8, job.components[2].options.parallelism)
  end)

  for _, case in ipairs({
    { { cuont = 2 }, 'job "small" has no component "cuont" %(did you mean "count"%?%)' },
    { { count = 500 }, 'component "count": parallelism must be a whole number from 1 to 128, got 500' },
    { { out = 2 }, 'component "out": sw.to.file has one instance, parallelism 2 is not possible' },
  }) do
    it("refuses what cannot be: " .. case[2], function()
      assert.error_matches(function()
        small_job():override({}, case[1])
      end, case[2])
    end)
  end
end)
