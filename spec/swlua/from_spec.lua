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
