--- What end-to-end specs share: folders of their own, and the program run as a user would.
local M = {}

local root = io.popen("pwd"):read("*l")

--- The program under test; $SWLUA names another than build/swlua.
M.program = os.getenv("SWLUA") or root .. "/build/swlua"

local function quoted(text)
  return "'" .. tostring(text):gsub("'", "'\\''") .. "'"
end
M.quoted = quoted

--- The whole text of a file; nil if there is none.
---@param path string
---@return string?
function M.read(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local text = file:read("*a")
  file:close()
  return text
end

--- Writes a file.
---@param path string
---@param text string
function M.write(path, text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
end

--- A new folder, with methods to use it; `remove` when done.
---
---     local dir = support.folder()
---     dir:write("job.lua", "...")
---     local result = dir:swlua("job.lua --sim")   --> { status = 0, out = "...", err = "..." }
---@class swlua.spec.Folder
---@field path string
local Folder = {}
Folder.__index = Folder

---@return swlua.spec.Folder
function M.folder()
  local pipe = io.popen("mktemp -d")
  local path = pipe:read("*l")
  pipe:close()
  return setmetatable({ path = path }, Folder)
end

function Folder:remove()
  os.execute("rm -rf " .. quoted(self.path))
end

function Folder:write(name, text) M.write(self.path .. "/" .. name, text) end
function Folder:read(name) return M.read(self.path .. "/" .. name) end

--- Names in the folder, sorted.
function Folder:list()
  local names = {}
  local pipe = io.popen("ls -A " .. quoted(self.path))
  for name in pipe:lines() do names[#names + 1] = name end
  pipe:close()
  return names
end

--- Runs a shell script in the folder, with the program as $swlua and the folder as its home.
---@param script string
---@return { status: integer, out: string, err: string }
function Folder:shell(script)
  local captured = M.folder()
  local pipe = io.popen(("cd %s && swlua=%s HOME=$PWD XDG_STATE_HOME=$PWD/state && export HOME XDG_STATE_HOME && "
    .. "( %s\n) >%s/out 2>%s/err </dev/null; echo $?"):format(quoted(self.path), quoted(M.program), script,
    captured.path, captured.path))
  local status = tonumber(pipe:read("*l"))
  pipe:close()
  local result = { status = status, out = captured:read("out"), err = captured:read("err") }
  captured:remove()
  return result
end

--- Runs the program in the folder with these arguments, as a shell reads them.
---@param arguments string
---@return { status: integer, out: string, err: string }
function Folder:swlua(arguments)
  return self:shell('"$swlua" ' .. arguments)
end

return M
