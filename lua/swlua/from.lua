--- Connectors that events come from: `sw.from.*`. They only describe; the engine opens them in each instance.
local check = require("swlua.check")
local format = require("swlua.format")

---@class swlua.from
local M = {}

---@class swlua.Connector
---@field kind "connector"
---@field side "source"|"sink"
---@field type string "file", "stdin", "generator", "log", "stdout", "store", "null"
---@field options table<string, any> normalized
---@field fn function? of a generator
---@field single boolean true: one resource, hence one instance

local Connector = { __tostring = function(self)
  return (self.side == "source" and "sw.from." or "sw.to.") .. self.type
end }

--- Makes the description of a connector.
---@param side "source"|"sink"
---@param kind string
---@param options table
---@param single boolean
---@param fn function?
---@return swlua.Connector
function M._connector(side, kind, options, single, fn)
  local connector = { kind = "connector", side = side, type = kind, options = options, single = single, fn = fn }
  return setmetatable(connector, Connector)
end

--- A path that is a text; an empty one stands in for it where problems are collected.
function M._path(subject, path)
  if type(path) == "string" and path ~= "" and not path:find("%z") then return path end
  check.problem(("%s: the path must be a text that is not empty, got %s"):format(subject, check.show(path)))
  return ""
end

local LINE_MAX_DEFAULT = 16 * 1024 * 1024

local FILE = {
  format = { rule = format.rule },
  max_line = { rule = check.rule.size, to = "max_line_bytes" },
  start = { rule = check.one_of({ "earliest", "latest" }) },
  follow = { later = true },
}

local STDIN = { format = { rule = format.rule }, max_line = { rule = check.rule.size, to = "max_line_bytes" } }

local GENERATOR = {
  count = { rule = check.integer(0, 2 ^ 53) },
  rate = { rule = check.number_above(0, math.huge) },
}

local function input_options(subject, options, spec)
  local out = format.apply(check.options(subject, options, spec))
  out.max_line_bytes = out.max_line_bytes or LINE_MAX_DEFAULT
  return out
end

--- Reads files: the path may be a glob, and its files are shared out over the instances.
---
---     job:source("transactions", sw.from.file("in/*.jsonl.gz"), { time = "ts" })
---@param path string
---@param options { format: string|table?, start: "earliest"|"latest"?, max_line: string|integer? }?
---@return swlua.Connector
function M.file(path, options)
  local out = input_options("sw.from.file", options, FILE)
  out.path = M._path("sw.from.file", path)
  return M._connector("source", "file", out, false)
end

--- Reads standard input, to its end.
---
---     job:source("lines", sw.from.stdin({ format = "lines" }))   -- events are { line = "..." }
---@param options { format: string|table?, max_line: string|integer? }?
---@return swlua.Connector
function M.stdin(options)
  return M._connector("source", "stdin", input_options("sw.from.stdin", options, STDIN), true)
end

--- Makes events by a function of their number (1..) and the instance; `nil` ends the instance's part.
---
---     sw.from.generator(function(i) return { n = i }, i * 1000 end, { count = 10 })
---@param fn fun(i: integer, instance: swlua.Instance): table?, integer?
---@param options { count: integer?, rate: number? }?
---@return swlua.Connector
function M.generator(fn, options)
  if type(fn) ~= "function" then
    check.problem(("sw.from.generator: expected a function, got %s"):format(check.show(fn)))
    fn = function() end
  end
  return M._connector("source", "generator", check.options("sw.from.generator", options, GENERATOR), false, fn)
end

local LOG_NAME_MAX = 150

--- The name of an event log; one that cannot be is stood in for where problems are collected.
function M._log_name(subject, name)
  local is_name = type(name) == "string" and #name <= LOG_NAME_MAX and name:find("^[%w_%%][%w_%%.%-]*$")
  if is_name then return name end
  local text = '%s: the name must be of letters, digits, "_", "-", "." and "%%", at most %d, got %s'
  check.problem(text:format(subject, LOG_NAME_MAX, check.show(name)))
  return "unnamed"
end

local LOG_TIME_MAX = 2 ^ 53

local log_start_word = check.one_of({ "earliest", "latest" })

local function log_start(value)
  if type(value) == "number" and value % 1 == 0 and math.abs(value) <= LOG_TIME_MAX then return value end
  local word, expected = log_start_word(value)
  return word, expected and expected .. " or a time in milliseconds"
end

local LOG = { start = { rule = log_start }, follow = { rule = check.rule.boolean } }

--- Reads an event log: from its beginning, its end or a time on, and then what comes; `follow = false` ends the input
--- at what is there when it is opened. With several instances, record n is read by instance n % count.
---
---     job:source("transactions", sw.from.log("transactions", { start = "latest" }))
---@param name string
---@param options { start: "earliest"|"latest"|integer|nil, follow: boolean? }?
---@return swlua.Connector
function M.log(name, options)
  local out = check.options("sw.from.log", options, LOG)
  out.name = M._log_name("sw.from.log", name)
  out.start = out.start or "earliest"
  return M._connector("source", "log", out, false)
end

local LATER = { tcp = true, http = true, kafka = true, store = true }

--- Refuses connectors there are not: those of later versions, and misspelt ones.
function M._guard(connectors, prefix, side)
  return setmetatable(connectors, {
    __index = function(_, name)
      if type(name) ~= "string" or name:sub(1, 1) == "_" then return nil end
      local text = LATER[name] and " is not available in this version"
        or " does not exist" .. check.suggestion(name, check.public_names(connectors))
      check.problem(prefix .. name .. text)
      return function()
        return M._connector(side, "null", {}, false)
      end
    end,
  })
end

return M._guard(M, "sw.from.", "source")
