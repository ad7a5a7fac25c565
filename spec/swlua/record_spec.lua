local record = require("swlua.record")

describe("sw.record", function()
  it("sorts the fields by name", function()
    local schema = record.record({ price = "f64", auction = "i64", ok = "bool" })
    assert.equal("auction:i64,ok:bool,price:f64", schema.text)
    assert.same({ name = "auction", type = "i64" }, schema.fields[1])
    assert.equal("schema", schema.kind)
  end)

  it("keeps the order of a list of pairs", function()
    assert.equal("price:f64,auction:i64", record.record({ { "price", "f64" }, { "auction", "i64" } }).text)
  end)

  for _, case in ipairs({
    { { a = "i63" }, 'field "a": unknown type "i63" (did you mean "i64"?)' },
    { { a = "number" }, 'unknown type "number" (there are: bool, f64, i64, string, time)' },
    { { a = 5 }, 'field "a": unknown type 5' },
    { { sw__x = "i64" }, 'field "sw__x": names that begin with "sw__"' },
    { { [true] = "i64" }, "a field name must be a text that is not empty, got true" },
    { { { "a", "i64" }, { "a", "f64" } }, 'field "a" is given twice' },
    { { "a", "b" }, 'a list holds { name, type } pairs, got "a"' },
    { {}, "a schema needs at least one field" },
    { "a:i64", 'expected a table of fields and types, got "a:i64"' },
  }) do
    it("refuses what cannot be: " .. case[2], function()
      local ok, message = pcall(record.record, case[1])
      assert.is_false(ok)
      assert.is_truthy(message:find(case[2], 1, true), message)
    end)
  end

  it("refuses more fields than a record has room for", function()
    local fields = {}
    for i = 1, 1025 do
      fields["f" .. i] = "i64"
    end
    assert.error_matches(function()
      record.record(fields)
    end, "at most 1024 fields, got 1025")
  end)
end)

describe("swlua.record.find", function()
  it("gives the field, or nil", function()
    local schema = record.record({ a = "i64" })
    assert.equal("i64", record.find(schema, "a").type)
    assert.is_nil(record.find(schema, "b"))
  end)
end)
