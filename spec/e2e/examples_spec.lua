-- Every example runs with its .in as standard input and prints its .out.
local support = require("spec.e2e.support")

local pipe = io.popen("pwd; ls examples/*.lua")
local root = pipe:read("*l")

describe("the example", function()
  local dir
  before_each(function() dir = support.folder() end)
  after_each(function() dir:remove() end)

  for script in pipe:lines() do
    local path = root .. "/" .. script:gsub("%.lua$", "")
    it(script .. " prints what it promises", function()
      local result = dir:shell(('"$swlua" %s <%s'):format(support.quoted(path .. ".lua"),
        support.quoted(path .. ".in")))
      assert.equal(support.read(path .. ".out"), result.out)
      assert.equal(0, result.status)
    end)
    it(script .. " prints the same in simulation", function()
      local result = dir:shell(('"$swlua" --sim %s <%s'):format(support.quoted(path .. ".lua"),
        support.quoted(path .. ".in")))
      assert.equal(support.read(path .. ".out"), result.out)
    end)
  end
  pipe:close()
end)
