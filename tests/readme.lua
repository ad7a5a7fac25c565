--- Keeps README.md true: runs what it shows, and compares what it names with what there is.
---
---     luajit tests/readme.lua        (in the top folder; $SWLUA names another program than build/swlua)
---
--- In README.md
---   ```lua      whose first line is `-- NAME.lua`: a file of that name; a job must pass `swlua check`
---               with lines `EXPRESSION  --> TEXT`: each is evaluated, sw.str of it is TEXT
---               else: part of a job; `sw`, `job` and the stream `events` are there
---   ```console  `$ command`, continued by `> ` lines: run, and what it prints is what follows up to the next command;
---               "..." is any number of lines, and at the end of a line the rest of it
---   ```sh       commands that are not run; those of ./dev exist
--- Files and commands share one folder, in the order of the text.
--- Prints each breach as `README.md:line: problem`, then `N passed, M failed`.

local function lines_of(command)
  local pipe, lines = assert(io.popen(command)), {}
  for line in pipe:lines() do
    lines[#lines + 1] = line
  end
  pipe:close()
  return lines
end

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

local function write(path, text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
end

local function quoted(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

local ROOT = lines_of("pwd")[1]
local SWLUA = os.getenv("SWLUA") or ROOT .. "/build/swlua"
local BUILD = SWLUA:match("^(.*)/[^/]*$")
local FOLDER = lines_of("mktemp -d")[1]
package.cpath = BUILD .. "/?.so;" .. package.cpath
local sw = require("swlua")

local SAID_LINES_MAX = 20

local passed, failed = 0, 0

--- Counts a fact; states the problem where it does not hold.
local function check(ok, line, problem, ...)
  if ok then
    passed = passed + 1
  else
    failed = failed + 1
    print(("README.md:%d: %s"):format(line, problem:format(...)))
  end
end

-- ---- Reading ------------------------------------------------------------------------------------------------------

---@class Block
---@field kind string the word behind the fence
---@field line integer of its first line
---@field lines string[]

--- Blocks of the text, and all that it writes as code: spans, and blocks of Lua.
local function parse(text)
  local blocks, code, block, number = {}, {}, nil, 0
  for line in text:gmatch("([^\n]*)\n") do
    number = number + 1
    local fence = line:match("^```(.*)$")
    if fence and block then
      block = nil
    elseif fence then
      block = { kind = fence, line = number + 1, lines = {} }
      blocks[#blocks + 1] = block
    elseif block then
      block.lines[#block.lines + 1] = line
      if block.kind == "lua" then code[#code + 1] = { line = number, text = line } end
    else
      for span in line:gmatch("`([^`]+)`") do
        code[#code + 1] = { line = number, text = span }
      end
    end
  end
  return blocks, code
end

-- ---- Running ------------------------------------------------------------------------------------------------------

--- Runs a command in the folder of the examples, with swlua on the path; those of ./dev in the top folder.
local function run(command)
  local folder = FOLDER
  if command:find("^%./dev ") then
    folder = ROOT
    if os.getenv("SWLUA") then command = command:gsub("^%./dev run", "swlua run") end
  end
  local script = FOLDER .. "/.command"
  write(script, ("cd %s && PATH=%s:$PATH\n%s\n"):format(quoted(folder), quoted(BUILD), command))
  return lines_of("bash " .. quoted(script) .. " 2>" .. quoted(FOLDER .. "/.errors"))
end

--- The end of what a command printed, and its complaints.
local function said(lines)
  local first = math.max(1, #lines - SAID_LINES_MAX + 1)
  return table.concat(lines, "\n", first) .. "\n" .. read(FOLDER .. "/.errors")
end

local function line_matches(shown, line)
  if shown:sub(-3) == "..." then return line:sub(1, #shown - 3) == shown:sub(1, -4) end
  return shown == line
end

--- Do these lines, from `j` on, match those that are shown from `i` on?
local function matches(shown, lines, i, j)
  while i <= #shown do
    if shown[i] == "..." then
      for rest = j, #lines + 1 do
        if matches(shown, lines, i + 1, rest) then return true end
      end
      return false
    end
    if lines[j] == nil or not line_matches(shown[i], lines[j]) then return false end
    i, j = i + 1, j + 1
  end
  return j > #lines
end

local function run_console(block)
  local commands = {}
  for i, line in ipairs(block.lines) do
    local command = line:match("^%$ (.*)$")
    local last = commands[#commands]
    if command then
      commands[#commands + 1] = { line = block.line + i - 1, text = command, shown = {} }
    elseif #last.shown == 0 and line:find("^> ") then
      last.text = last.text .. "\n" .. line:sub(3)
    else
      last.shown[#last.shown + 1] = line
    end
  end
  for _, command in ipairs(commands) do
    local lines = run(command.text)
    check(matches(command.shown, lines, 1, 1), command.line, "%s prints\n%s", command.text, said(lines))
  end
end

local function check_job(name, line)
  local lines = run("swlua check " .. name)
  check((lines[#lines] or ""):find("^ok: ") ~= nil, line, "swlua check %s says\n%s", name, said(lines))
end

local BEFORE = 'local sw = require "swlua" local job = sw.job("part") '
  .. 'local events = job:source("events before", sw.from.stdin()) local _ = events '
local AFTER = '\njob:source("events behind", sw.from.stdin()):to("the end", sw.to.null())\nreturn job\n'

local function check_expressions(block)
  for i, line in ipairs(block.lines) do
    local expression, shown = line:match("^(.-)%s*%-%->%s*(.*)$")
    local chunk = expression and loadstring("local sw = ... return " .. expression)
    local ok, value = pcall(chunk or error, sw)
    local text = ok and sw.str(value) or tostring(value)
    check(ok and text == shown, block.line + i - 1, "%s is %s", line, text)
  end
end

local function check_lua(block)
  local text = table.concat(block.lines, "\n")
  local name = block.lines[1]:match("^%-%- (%S+%.lua)$")
  if name then
    write(FOLDER .. "/" .. name, text .. "\n")
    if not name:find("_spec%.lua$") then check_job(name, block.line) end
  elseif text:find("-->", 1, true) then
    check_expressions(block)
  else
    write(FOLDER .. "/part.lua", BEFORE .. text .. AFTER)
    check_job("part.lua", block.line)
  end
end

local function check_sh(block)
  local usage = table.concat(lines_of("./dev help"), "\n")
  for i, line in ipairs(block.lines) do
    local name = line:match("%./dev (%w+)")
    check(name and usage:find("\n  " .. name .. " ", 1, true), block.line + i - 1, "there is no command %s", line)
  end
end

-- ---- Names --------------------------------------------------------------------------------------------------------

-- What the text calls an object.
local OBJECTS = { Collector = "out", Job = "job", Stream = "stream", Table = "table", Test = "t", Windowed = "w" }
local TABLES = { Collector = "out.", Instance = "", Operator = "", Source = "", Sink = "" } -- whose fields it names

--- Every public name, as the text is to write it: "sw.job(", "stream:map(", "out.key", "max_delay".
local function public_names()
  local names, class = {}, nil
  for line in io.lines("lua/swlua/meta/sw.lua") do
    class = line:match("^%-%-%-@class swlua%.(%w+)") or class
    local owner, method = line:match("^function (%u%w*):([%l_]+)%(")
    local field = line:match("^%-%-%-@field ([%w_]+)")
    local prefix = class and (TABLES[class] or (class:find("Options$") and ""))
    if method then names[OBJECTS[owner] .. ":" .. method .. "("] = true end
    if field and prefix then names[prefix .. field] = true end
  end
  for method in read("lua/swlua/test.lua"):gmatch("\n%-%-[^\n]*\nfunction Test:([%w_]+)") do
    names["t:" .. method .. "("] = true
  end
  return names
end

local function add_members(names, t, prefix)
  for name, value in pairs(t) do
    if type(name) == "string" and name:sub(1, 1) ~= "_" then
      names[prefix .. name .. (type(value) == "function" and "(" or "")] = true
      if type(value) == "table" and prefix == "sw." and name ~= "args" then
        add_members(names, value, prefix .. name .. ".")
      end
    end
  end
end

local function is_named(name, code)
  local is_word = not name:find("%(")
  local pattern = "%f[%w_-]" .. name:gsub("%p", "%%%0") .. (is_word and "%f[^%w_-]" or "")
  for _, part in ipairs(code) do
    if part.text:find(pattern) then return true end
  end
  return false
end

local function check_names(code)
  local names = public_names()
  add_members(names, sw, "sw.")
  names["sw.test("] = true
  for name in pairs(names) do
    local plain = name:match("^sw%.[%w_.]+%($") and name:sub(1, -2) or name -- `sw.record{...}` is a call too.
    check(is_named(plain, code), 1, "%s is not described", name)
  end
  for _, part in ipairs(code) do
    for object, method in part.text:gmatch("%f[%w]([%w]+):([%l_]+)%(") do
      if object == "out" or object == "job" or object == "stream" or object == "t" then
        local is_there = names[object .. ":" .. method .. "("] or (object == "out" and method == "watermark")
        check(is_there, part.line, "%s:%s is not there", object, method)
      end
    end
    for name in part.text:gmatch("%f[%w]sw%.([%l_]+)") do
      check(rawget(sw, name) ~= nil or name == "test", part.line, "sw.%s is not there", name)
    end
  end
end

--- Commands, options, benchmarks and files.
local function check_program(code)
  for _, line in ipairs(run("swlua --help")) do
    local command = line:match("^  (%l+)  ")
    if command then check(is_named("swlua " .. command, code), 1, "swlua %s is not described", command) end
  end
  for _, line in ipairs(run("swlua run --help")) do
    local option = line:match("^  (%-%-[%l-]+)")
    if option then check(is_named(option, code), 1, "%s is not described", option) end
  end
  for name in lines_of("luajit tests/bench/run ? 2>&1")[1]:match("there are: (.*)"):gmatch("%S+") do
    check(is_named(name, code), 1, "the benchmark %s is not described", name)
  end
  for _, part in ipairs(code) do
    local path = part.text:match("^[%w_/]+%.%l+$") or part.text:match("^core/%l+$")
    if path and path:find("^[clt][oue]%l+/") then
      local file = io.open(path)
      check(file ~= nil, part.line, "there is no %s", path)
      if file then file:close() end
    end
  end
end

-- ---- All of it ----------------------------------------------------------------------------------------------------

local checks = { lua = check_lua, console = run_console, sh = check_sh }
local blocks, code = parse(read("README.md"))
for _, block in ipairs(blocks) do
  if checks[block.kind] then checks[block.kind](block) end
end
check_names(code)
check_program(code)

os.execute("rm -rf " .. quoted(FOLDER))
print(("%d passed, %d failed"):format(passed, failed))
os.exit(failed == 0 and 0 or 1)
