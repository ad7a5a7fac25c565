local sw = require("swlua")

local function refused(fn, text)
  local ok, message = pcall(fn)
  assert.is_false(ok, "expected an error")
  assert.is_truthy(message:match("from_spec.lua:%d+: "), message)
  assert.is_truthy(message:find(text, 1, true), message)
end

describe("sw.from.file", function()
  it("reads JSON lines of at most 16 MiB unless told otherwise", function()
    assert.same({ path = "a.jsonl", format = "jsonl", max_line_bytes = 16777216 }, sw.from.file("a.jsonl").options)
  end)

  it("takes sizes as text and as bytes", function()
    assert.equal(65536, sw.from.file("a", { max_line = "64KiB" }).options.max_line_bytes)
    assert.equal(100, sw.from.file("a", { max_line = 100 }).options.max_line_bytes)
  end)

  for _, case in ipairs({
    { 5, nil, "sw.from.file: the path must be a text that is not empty, got 5" },
    { "", nil, "the path must be a text" },
    { "a", { format = "json" }, '"jsonl", "csv", "lines", "msgpack" (did you mean "jsonl"?) or sw.csv{...}' },
    { "a", { format = "csv" }, 'the format "csv" is not available in this version' },
    { "a", { format = "msgpack" }, 'the format "msgpack" is not available in this version' },
    { "a", { max_line = "16 megs" }, 'option "max_line" must be a size such as "64KiB"' },
    { "a", { max_line = 0 }, 'option "max_line" must be a size' },
    { "a", { follow = true }, 'sw.from.file: option "follow" is not available in this version' },
    { "a", { fromat = "csv" }, 'unknown option "fromat" (did you mean "format"?)' },
  }) do
    it("refuses what cannot be: " .. case[3], function()
      refused(function()
        sw.from.file(case[1], case[2])
      end, case[3])
    end)
  end
end)

describe("sw.from.log", function()
  it("starts at the earliest event unless told otherwise", function()
    assert.same({ name = "a", start = "earliest" }, sw.from.log("a").options)
    assert.same({ name = "job.in", start = "latest", follow = false },
      sw.from.log("job.in", { start = "latest", follow = false }).options)
    assert.equal(1700000000000, sw.from.log("a", { start = 1700000000000 }).options.start)
  end)

  it("can be read by several instances", function()
    assert.is_false(sw.from.log("a").single)
  end)

  for _, case in ipairs({
    { nil, nil, "sw.from.log: the name must be of letters" },
    { "a b", nil, 'got "a b"' },
    { "../a", nil, 'got "../a"' },
    { ".a", nil, 'got ".a"' },
    { ("a"):rep(151), nil, "at most 150" },
    { "a", { start = "earlyest" }, '"earliest", "latest" (did you mean "earliest"?) or a time in milliseconds' },
    { "a", { start = 1.5 }, "or a time in milliseconds, got 1.5" },
    { "a", { follow = "no" }, 'option "follow" must be true or false' },
    { "a", { folow = true }, 'unknown option "folow" (did you mean "follow"?)' },
  }) do
    it("refuses what cannot be: " .. case[3], function()
      refused(function()
        sw.from.log(case[1], case[2])
      end, case[3])
    end)
  end
end)

describe("a source's journal", function()
  it("is for standard input", function()
    sw.job("j"):source("in", sw.from.stdin(), { journal = true })
    refused(function()
      sw.job("j"):source("in", sw.from.file("a"), { journal = true })
    end, 'option "journal" is for sources that cannot be rewound, such as sw.from.stdin; sw.from.file can be')
    refused(function()
      sw.job("j"):source("in", { get_events = print }, { journal = true })
    end, "a table of functions has get_state to be")
    sw.job("j"):source("in", sw.from.file("a"), { journal = false })
  end)
end)

describe("sw.csv", function()
  for _, case in ipairs({
    { { separator = ";;" }, 'option "separator" must be one character' },
    { { header = "yes" }, 'option "header" must be true, false or a list of column names' },
    { { types = { n = "int" } }, 'column "n": one of "i64"' },
  }) do
    it("refuses what cannot be: " .. case[2], function()
      refused(function()
        sw.csv(case[1])
      end, case[2])
    end)
  end
end)

describe("sw.from.generator", function()
  it("keeps the function and its bounds", function()
    local generator = sw.from.generator(print, { count = 3, rate = 0.5 })
    assert.equal(print, generator.fn)
    assert.same({ count = 3, rate = 0.5 }, generator.options)
  end)

  it("refuses what cannot be", function()
    refused(function()
      sw.from.generator({ count = 3 })
    end, "sw.from.generator: expected a function, got a table")
    refused(function()
      sw.from.generator(print, { count = -1 })
    end, 'option "count" must be a whole number')
    refused(function()
      sw.from.generator(print, { rate = 1 / 0 })
    end, 'option "rate" must be a number above 0')
  end)
end)

describe("sw.from", function()
  it("says which connectors are of later versions, and which do not exist", function()
    refused(function()
      sw.from.tcp("localhost:9990")
    end, "sw.from.tcp is not available in this version")
    refused(function()
      sw.from.flie("a")
    end, 'sw.from.flie does not exist (did you mean "file"?)')
  end)

  it("knows which connectors are one resource", function()
    assert.is_true(sw.from.stdin().single)
    assert.is_false(sw.from.file("a").single)
  end)
end)
