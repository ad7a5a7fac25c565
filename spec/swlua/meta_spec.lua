--- The annotations that editors read, against what there is.
local sw = require("swlua")

local function annotated()
  return dofile("lua/swlua/meta/sw.lua")
end

local function missing(from, there, path, out)
  for name, value in pairs(from) do
    if name:sub(1, 1) ~= "_" and name ~= "test" then
      if rawget(there, name) == nil then
        out[#out + 1] = path .. name
      elseif type(value) == "table" and type(rawget(there, name)) == "table" then
        missing(value, there[name], path .. name .. ".", out)
      end
    end
  end
  return out
end

describe("the annotations", function()
  it("name nothing that there is not", function()
    assert.same({}, missing(annotated(), sw, "sw.", {}))
  end)

  it("leave out nothing that there is but fields", function()
    local without = missing(sw, annotated(), "sw.", {})
    table.sort(without)
    assert.same({ "sw.args", "sw.null" }, without)
  end)
end)
