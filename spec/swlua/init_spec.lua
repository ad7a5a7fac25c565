local sw = require("swlua")

describe("sw", function()
  it("names the member that was meant", function()
    local ok, message = pcall(function()
      return sw.jop("a")
    end)
    assert.is_false(ok)
    assert.is_truthy(message:match('init_spec.lua:%d+: sw.jop does not exist %(did you mean "job"%?%)$'), message)
  end)

  it("leaves no globals behind", function()
    for name in pairs({ sw = true, swlua = true, job = true }) do
      assert.is_nil(rawget(_G, name))
    end
  end)
end)

describe("sw.args", function()
  after_each(function()
    sw._set_args({})
  end)

  it("gives what was set, and tells what was never read", function()
    sw._set_args({ threshold = 5, city = "Bern", color = "red" })
    assert.equal(5, sw.args.threshold)
    assert.is_nil(sw.args.absent)
    assert.same({ "city", "color" }, sw._unread_args())
  end)

  it("is read-only", function()
    assert.error_matches(function()
      sw.args.x = 1
    end, "sw.args.x: arguments are read%-only")
  end)
end)

describe("sw.log", function()
  local default = sw._hooks.log
  after_each(function()
    sw._hooks.log = default
  end)

  it("calls the engine's hook with text and fields", function()
    local got
    sw._hooks.log = function(text, fields)
      got = { text, fields }
    end
    sw.log(12, { a = 1 })
    assert.same({ "12", { a = 1 } }, got)
  end)
end)
