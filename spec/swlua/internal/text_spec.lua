local text = require "swlua.internal.text"

describe("text that can be shown", function()
  local BAD = "\239\191\189"
  for _, case in ipairs({
    { "keeps ASCII", "plain\0 text\n", "plain\0 text\n" },
    { "keeps characters of two, three and four bytes", "\195\188\226\130\172\240\159\152\128", nil },
    { "keeps the first and the last of each length",
      "\194\128\223\191\224\160\128\239\191\191\240\144\128\128\244\143\191\191", nil },
    { "replaces a byte that begins nothing", "a\255b", "a" .. BAD .. "b" },
    { "replaces a continuation alone", "\128", BAD },
    { "replaces each byte of a character that was cut", "\226\130", BAD .. BAD },
    { "replaces overlong forms", "\192\128", BAD .. BAD },
    { "replaces surrogates", "\237\160\128", BAD:rep(3) },
    { "replaces what lies beyond the last character", "\244\144\128\128", BAD:rep(4) },
    { "goes on behind what it replaced", "\255\195\188\254", BAD .. "\195\188" .. BAD },
  }) do
    it(case[1], function() assert.equal(case[3] or case[2], text.utf8(case[2])) end)
  end

  it("is made of the members and keys of a table, at every depth, in a copy", function()
    local event = { a = { "\255" }, ["\254"] = 1 }
    assert.are.same({ a = { BAD }, [BAD] = 1 }, text.printable(event))
    assert.are.same({ a = { "\255" }, ["\254"] = 1 }, event)
  end)
  it("names numbers that JSON does not have", function()
    assert.are.same({ "nan", "inf", "-inf", 1.5 }, text.printable({ 0 / 0, 1 / 0, -1 / 0, 1.5 }))
  end)
  it("leaves arrays arrays", function()
    local sw = require "swlua"
    assert.equal("[]", sw.str(text.printable(sw.array())))
  end)
end)
