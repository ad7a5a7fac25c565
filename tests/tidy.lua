--- Rules of this code that no compiler checks. Prints each breach as `file:line: problem`, then how many rules held.
---
---     luajit tests/tidy.lua        (in the top folder)

local COLUMNS_MAX = 120
local FILE_LINES_MAX = 800
local HEADER_LINES_MAX = 150
local FUNCTION_LINES_MAX = 70

local FOLDERS = "CMakeLists.txt cmake dev .ci core lua jobs examples spec tests"
local NAMES = [[-name '*.[ch]' -o -name '*.[ch]pp' -o -name '*.lua' -o -name '*.cmake' -o -name CMakeLists.txt ]]
  .. [[-o -path dev -o -path .ci/run -o -path tests/bench/run]]

-- ---- Reading ------------------------------------------------------------------------------------------------------

--- What a shell command prints, as lines.
local function lines_of(command)
  local pipe = assert(io.popen(command))
  local lines = {}
  for line in pipe:lines() do
    lines[#lines + 1] = line
  end
  pipe:close()
  return lines
end

--- Where the comment or the literal that starts at `start` ends; nil if none starts there.
local function end_of_blank(text, start)
  local two, quote = text:sub(start, start + 1), text:sub(start, start)
  if two == "/*" then return select(2, text:find("*/", start + 2, true)) or #text end
  if two == "//" then return text:find("\n", start, true) - 1 end
  if quote == "/" then return nil end
  local stop = start + 1
  while stop < #text and text:sub(stop, stop) ~= quote do
    stop = stop + (text:sub(stop, stop) == "\\" and 2 or 1)
  end
  return stop
end

--- The lines of a C file with its comments, strings and character constants blanked.
local function without_comments(lines)
  local text = table.concat(lines, "\n") .. "\n"
  local out, from = {}, 1
  while true do
    local start = text:find("[\"'/]", from)
    if not start then break end
    local stop = end_of_blank(text, start)
    out[#out + 1] = text:sub(from, start - 1)
    out[#out + 1] = stop and text:sub(start, stop):gsub("[^\n]", " ") or "/"
    from = (stop or start) + 1
  end
  out[#out + 1] = text:sub(from)
  local code = {}
  for line in table.concat(out):gmatch("([^\n]*)\n") do
    code[#code + 1] = line
  end
  return code
end

--- Every file people write: path, lines and, of C, code (lines without comments).
local function read_files()
  local files = {}
  local find = ("find %s -type f \\( %s \\) 2>/dev/null | LC_ALL=C sort"):format(FOLDERS, NAMES)
  for _, path in ipairs(lines_of(find)) do
    local file = { path = path, lines = {} }
    for line in io.lines(path) do
      file.lines[#file.lines + 1] = line
    end
    if path:find("%.[ch]$") or path:find("%.[ch]pp$") then file.code = without_comments(file.lines) end
    files[#files + 1] = file
  end
  return files
end

-- ---- Rules --------------------------------------------------------------------------------------------------------
-- A rule is called with the files and report(path, line, problem).

--- A rule: none of these functions is called in C files that `applies(path)` picks.
local function not_called(names, applies, why)
  return function(files, report)
    for _, file in ipairs(files) do
      for number, line in ipairs(file.code and applies(file.path) and file.code or {}) do
        for before, name in (" " .. line):gmatch("([^%w_])([%a_][%w_]*)%s*%(") do
          -- A member called so (ops->open) is another function.
          if names[name] and before ~= "." and before ~= ">" then report(file.path, number, name .. ": " .. why) end
        end
      end
    end
  end
end

local function set(names)
  local members = {}
  for name in names:gmatch("%S+") do
    members[name] = true
  end
  return members
end

--- A rule: problem_of(line, path) is nil for every line.
local function each_line(problem_of)
  return function(files, report)
    for _, file in ipairs(files) do
      for number, line in ipairs(file.lines) do
        local problem = problem_of(line, file.path)
        if problem then report(file.path, number, problem) end
      end
    end
  end
end

local function in_core(path) return path:find("^core/") end

local rules = {}

rules["no unsafe or sleeping calls"] = not_called(
  set("strcpy strcat sprintf vsprintf gets rand srand usleep sleep nanosleep"),
  function(path) return not path:find("^tests/bench/") end, "banned")

rules["clock, randomness and disk are used through core/base"] = not_called(
  set("time gettimeofday clock_gettime random getrandom open openat fopen"),
  function(path) return in_core(path) and not path:find("^core/base/") end, "use core/base (clock.h, rng.h, fs.h)")

rules["Lua is called from core/script only"] = not_called(
  set("lua_call lua_pcall lua_cpcall luaL_dofile luaL_dostring"),
  function(path) return in_core(path) and not path:find("^core/script/") end, "use sw_script_call")

rules["includes name folder and header"] = each_line(function(line, path)
  if in_core(path) and line:find('^%s*#%s*include%s+"') and not line:find('"[%w_]+/[%w_]+%.hp*"') then
    return 'an include is written "folder/header.h"'
  end
end)

rules["lines are not too long"] = each_line(function(line)
  local columns = #line:gsub("[\128-\191]", "") -- UTF-8 continuation bytes take no column.
  if columns > COLUMNS_MAX then return ("%d columns, at most %d"):format(columns, COLUMNS_MAX) end
end)

rules["no tabs and no trailing spaces"] = each_line(function(line)
  if line:find("\t") then return "a tab" end
  if line:find("%s$") then return "trailing space" end
end)

local markers = { "TO" .. "DO", "FIX" .. "ME", "XX" .. "X", "HA" .. "CK" }
rules["no unfinished work"] = each_line(function(line)
  for _, marker in ipairs(markers) do
    if line:find("%f[%w_]" .. marker .. "%f[^%w_]") then return marker end
  end
end)

rules["files are not too long"] = function(files, report)
  for _, file in ipairs(files) do
    local max = file.path:find("%.hp*$") and HEADER_LINES_MAX or FILE_LINES_MAX
    if #file.lines > max then report(file.path, #file.lines, ("%d lines, at most %d"):format(#file.lines, max)) end
  end
end

--- Is a function marked as a long, flat dispatch, on the line before it or on those up to its opening brace?
local function is_dispatch(lines, first)
  for number = math.max(first - 1, 1), #lines do
    if lines[number]:find("/* long: dispatch */", 1, true) then return true end
    if number >= first and lines[number]:find("{", 1, true) then return false end
  end
end

rules["functions are not too long"] = function(files, report)
  local by_path, paths = {}, {}
  for _, file in ipairs(files) do
    if file.code and in_core(file.path) then
      by_path[file.path] = file
      paths[#paths + 1] = file.path
    end
  end
  -- Without ctags the list is empty.
  local format = "ctags -x --_xformat='%%F %%n %%{end} %%N' --kinds-C=f --kinds-C++=f %s 2>/dev/null"
  for _, tag in ipairs(#paths > 0 and lines_of(format:format(table.concat(paths, " "))) or {}) do
    local path, first, last, name = tag:match("^(%S+) (%d+) (%d+) (.+)$")
    local length = path and last - first + 1 or 0
    if length > FUNCTION_LINES_MAX and not is_dispatch(by_path[path].lines, tonumber(first)) then
      report(path, tonumber(first), ("%s has %d lines, at most %d"):format(name, length, FUNCTION_LINES_MAX))
    end
  end
end

-- ---- Running ------------------------------------------------------------------------------------------------------

local files = read_files()
local names = {}
for name in pairs(rules) do
  names[#names + 1] = name
end
table.sort(names)

local failed = 0
for _, name in ipairs(names) do
  local breaches = 0
  rules[name](files, function(path, line, problem)
    breaches = breaches + 1
    print(("%s:%d: %s"):format(path, line, problem))
  end)
  if breaches > 0 then
    failed = failed + 1
    print(("not true: %s (%d)"):format(name, breaches))
  end
end
print(("%d passed, %d failed"):format(#names - failed, failed))
os.exit(failed == 0 and 0 or 1)
