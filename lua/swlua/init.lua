--- swlua: stream jobs in Lua. A script builds a job with this module and returns it; building has no side effects.
---
---     local sw = require "swlua"
---     local job = sw.job("hello")
---     job:source("numbers", sw.from.generator(function(i) return { n = i } end, { count = 3 })):print()
---     return job                       -- swlua hello.lua prints {"n":1}, {"n":2}, {"n":3}
local check = require("swlua.check")
local values = require("swlua.values")

---@class swlua
---@field test fun(job: string|function|swlua.Job, options: table?): swlua.Test loaded when it is first used
local sw = {
  job = require("swlua.job").job,
  union = require("swlua.stream").union,
  record = require("swlua.record").record,
  csv = require("swlua.format").csv,
  from = require("swlua.from"),
  to = require("swlua.to"),
  null = values.null,
  array = values.array,
  copy = values.copy,
  table = values.table,
  str = values.str,
  pairs = values.pairs,
  time = values.time,
}

for _, part in ipairs({ require("swlua.window"), require("swlua.aggregate") }) do
  for _, name in ipairs({ "tumbling", "sliding", "session", "unbounded", "count", "sum", "mean", "min", "max", "first",
    "last", "min_by", "max_by", "collect", "distinct", "approx_distinct", "quantile" }) do
    sw[name] = sw[name] or part[name]
  end
end

-- Arguments -----------------------------------------------------------------------------------------------------

local arguments, arguments_read = {}, {}

--- What `--set NAME=VALUE` gave: `sw.args.NAME` is a string, a number where it parses as one, or nil.
---
---     local threshold = sw.args.threshold or 5000
---@type table<string, string|number>
sw.args = setmetatable({}, {
  __index = function(_, name)
    arguments_read[name] = true
    return arguments[name]
  end,
  __newindex = function(_, name)
    error(("sw.args.%s: arguments are read-only, give them with --set"):format(tostring(name)), 2)
  end,
})

--- Sets the arguments, before the script runs.
---@param given table<string, string|number>
function sw._set_args(given)
  arguments, arguments_read = given, {}
end

--- Names that were given and never read, sorted.
---@return string[]
function sw._unread_args()
  local unread = {}
  for _, name in ipairs(check.sorted_keys(arguments)) do
    if not arguments_read[name] then unread[#unread + 1] = name end
  end
  return unread
end

-- Log -----------------------------------------------------------------------------------------------------------

local function log_to_stderr(text, fields)
  local line = fields and text .. " " .. values.str(fields) or text
  io.stderr:write(line, "\n")
end

--- Where sw.log goes; the engine sets `log` to its own, which adds component and instance.
---@type { log: fun(text: string, fields: table?) }
sw._hooks = { log = log_to_stderr }

--- Writes a line to standard error.
---
---     sw.log("odd amount", { card = event.card, amount = event.amount })
---@param text any
---@param fields table<string, any>?
function sw.log(text, fields)
  sw._hooks.log(values.str(text), fields)
end

-- Names that are not there ----------------------------------------------------------------------------------------

local function unknown(name)
  check.problem("sw." .. name .. " does not exist" .. check.suggestion(name, check.public_names(sw)))
  return function()
    return {}
  end
end

return setmetatable(sw, {
  __index = function(_, name)
    if name == "test" then
      local test = require("swlua.test").open
      rawset(sw, "test", test)
      return test
    end
    if type(name) ~= "string" or name:sub(1, 1) == "_" then return nil end
    return unknown(name)
  end,
})
