--- Writes the C file behind embedded.h: every Lua module as bytecode, and the text for ffi.cdef.
---
---     luajit embed.lua OUT.c FFI.h LUA_ROOT MODULE.lua...
---
--- A module's chunk name is its path under LUA_ROOT ("@swlua/init.lua"): that is what tracebacks show.

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = assert(file:read("*a"))
  file:close()
  return text
end

--- "swlua/internal/loop.lua" -> "swlua.internal.loop"; "swlua/init.lua" -> "swlua"
local function module_name(path)
  return (path:gsub("%.lua$", ""):gsub("/init$", ""):gsub("/", "."))
end

--- The elements of a C array holding these bytes, 24 to a line.
local function bytes(data)
  local lines = {}
  for i = 1, #data, 24 do
    lines[#lines + 1] = table.concat({ data:byte(i, math.min(i + 23, #data)) }, ",")
  end
  return table.concat(lines, ",\n")
end

--- What ffi.cdef can read of a C header: no comments, no preprocessor lines.
local function cdef_text(header)
  local text = header:gsub("/%*.-%*/", " "):gsub("//[^\n]*", "")
  local lines = {}
  for line in text:gmatch("[^\n]+") do
    if not line:find("^%s*#") and line:find("%S") then
      lines[#lines + 1] = (line:gsub("%s+$", ""))
    end
  end
  return table.concat(lines, "\n") .. "\n"
end

local out_path, ffi_path, root = arg[1], arg[2], arg[3]
local names, paths = {}, {}
for i = 4, #arg do
  local path = arg[i]:sub(#root + 2)
  -- meta/ is for editors only, and is never loaded.
  if not path:find("^swlua/meta/") then
    names[#names + 1] = module_name(path)
    paths[names[#names]] = path
  end
end
table.sort(names)

local out = { '#include "script/embedded.h"' }
for i, name in ipairs(names) do
  local path = paths[name]
  local chunk = assert(loadstring(read(root .. "/" .. path), "@" .. path))
  out[#out + 1] = ("static const unsigned char module_%d[] = {\n%s};"):format(i, bytes(string.dump(chunk)))
end
out[#out + 1] = "const struct sw_embedded sw_embedded_modules[] = {"
for i, name in ipairs(names) do
  out[#out + 1] = ('    {"%s", module_%d, sizeof(module_%d)},'):format(name, i, i)
end
out[#out + 1] = "    {NULL, NULL, 0},\n};"
out[#out + 1] = ("const char sw_ffi_cdef[] = {\n%s,0};\n"):format(bytes(cdef_text(read(ffi_path))))

local file = assert(io.open(out_path, "wb"))
assert(file:write(table.concat(out, "\n")))
assert(file:close())
