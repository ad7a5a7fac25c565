local sw = require("swlua")

local function refused(fn, text)
  local ok, message = pcall(fn)
  assert.is_false(ok, "expected an error")
  assert.is_truthy(message:match("to_spec.lua:%d+: "), message)
  assert.is_truthy(message:find(text, 1, true), message)
end

describe("sw.to.file", function()
  it("replaces the file with JSON lines unless told otherwise", function()
    assert.same({ path = "a", format = "jsonl", mode = "replace" }, sw.to.file("a").options)
    assert.equal("append", sw.to.file("a", { mode = "append" }).options.mode)
  end)

  it("is one resource, unless the path names the instance", function()
    assert.is_true(sw.to.file("a").single)
    assert.is_false(sw.to.file("a-{instance}").single)
  end)

  for _, case in ipairs({
    { nil, nil, "sw.to.file: the path must be a text that is not empty, got nil" },
    { "a", { mode = "apend" }, '"replace", "append" (did you mean "append"?)' },
    { "a", { rotate = "1d" }, 'option "rotate" is not available in this version' },
  }) do
    it("refuses what cannot be: " .. case[3], function()
      refused(function()
        sw.to.file(case[1], case[2])
      end, case[3])
    end)
  end
end)

describe("sw.to.store", function()
  it("takes a field, or a list of fields, as key", function()
    assert.same({ path = "a", keys = 1, key1 = "id" }, sw.to.store("a", { key = "id" }).options)
    local two = sw.to.store("a", { key = { "id", "day" } })
    assert.same({ path = "a", keys = 2, key1 = "id", key2 = "day" }, two.options)
    assert.is_true(sw.to.store("a", { key = "id" }).single)
  end)

  for _, case in ipairs({
    { "", { key = "id" }, "sw.to.store: the path must be a text that is not empty" },
    { "a", nil, 'sw.to.store: option "key" is missing' },
    { "a", { key = {} }, 'sw.to.store: option "key" must be a field name or a list of up to 16 of them' },
    { "a", { key = { "id", 7 } }, 'option "key" must be a field name' },
    { "a", { keys = "id" }, 'unknown option "keys" (did you mean "key"?)' },
  }) do
    it("refuses what cannot be: " .. case[3], function()
      refused(function()
        sw.to.store(case[1], case[2])
      end, case[3])
    end)
  end
end)

describe("sw.to.log", function()
  it("is one resource", function()
    assert.same({ name = "a" }, sw.to.log("a").options)
    assert.is_true(sw.to.log("a").single)
    refused(function()
      sw.job("j"):source("in", sw.from.stdin()):to("out", sw.to.log("a"), { parallelism = 2 })
    end, "sw.to.log has one instance, parallelism 2 is not possible")
  end)

  it("is written by one component of a job", function()
    local s = sw.job("j"):source("in", sw.from.stdin())
    s:to("a", sw.to.log("x"))
    s:to("file", sw.to.file("x"))
    refused(function()
      s:to("b", sw.to.log("x"))
    end, 'component "b": the log "x" is written by component "a" too')
  end)

  it("refuses names that cannot be", function()
    refused(function()
      sw.to.log("a/b")
    end, "sw.to.log: the name must be of letters")
  end)
end)

describe("sw.to", function()
  it("says which connectors are of later versions, and which do not exist", function()
    refused(function()
      sw.to.kafka({})
    end, "sw.to.kafka is not available in this version")
    refused(function()
      sw.to.stdut()
    end, 'sw.to.stdut does not exist (did you mean "stdout"?)')
  end)

  it("has sinks for standard output, one instance, and for nothing, many", function()
    assert.is_true(sw.to.stdout({ format = "lines" }).single)
    assert.is_false(sw.to.null().single)
  end)
end)
