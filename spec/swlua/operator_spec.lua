local operator = require("swlua.operator")
local record = require("swlua.record")

describe("swlua.operator.check", function()
  it("knows which function each kind needs", function()
    for kind, name in pairs({ operator = "apply", source = "get_events", sink = "apply" }) do
      assert.error_matches(function()
        operator.check("x", kind, {})
      end, ("x: a custom %s needs the function %s"):format(kind, name))
      operator.check("x", kind, { [name] = print })
    end
  end)

  it("shows a misspelt one", function()
    assert.error_matches(function()
      operator.check("x", "source", { get_event = print })
    end, 'needs the function get_events %(is "get_event" meant to be it%?%)')
  end)

  it("finds members that come by a metatable", function()
    operator.check("x", "operator", setmetatable({}, { __index = { apply = print } }))
  end)
end)

describe("swlua.operator.check_fields", function()
  it("accepts anything where there is no schema", function()
    operator.check_fields("x", nil, { "a" }, true)
  end)

  it("wants numbers where time is read", function()
    local schema = record.record({ a = "time", b = "bool" })
    operator.check_fields("x", schema, { "a" }, true)
    operator.check_fields("x", schema, { "b" })
    assert.error_matches(function()
      operator.check_fields("x", schema, { "b" }, true)
    end, 'field "b" gives event time')
  end)
end)
