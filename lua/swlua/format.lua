--- Formats of what connectors read and write: "jsonl", "lines", "msgpack", "csv" or `sw.csv{...}`.
local check = require("swlua.check")

---@class swlua.format
local M = {}

---@class swlua.Csv
---@field kind "csv"
---@field header boolean|string[] true: the first line names the columns; a list: these names, and no such line
---@field separator string one byte
---@field types table<string, swlua.FieldType> of columns that are not strings

local named = check.one_of({ "jsonl", "csv", "lines", "msgpack" })
local AVAILABLE = { jsonl = true, lines = true }

--- Rule of a `format` option.
---@type swlua.Rule
function M.rule(value)
  if type(value) == "table" and rawget(value, "kind") == "csv" then return value end
  local result, expected = named(value)
  return result, expected and expected .. " or sw.csv{...}"
end

--- Writes the default format, and what sw.csv said, into a connector's normalized options.
---@param options table
---@return table options
function M.apply(options)
  local given = options.format or "jsonl"
  if given == "csv" then given = M.csv() end
  if type(given) == "table" then
    options.csv = { header = given.header, separator = given.separator, types = given.types }
    given = "csv"
  end
  if not AVAILABLE[given] then
    check.problem(('the format "%s" is not available in this version (it has "jsonl" and "lines")'):format(given))
  end
  options.format = given
  return options
end

local column_type = check.one_of({ "i64", "f64", "bool", "time", "string" })

local function header_rule(value)
  if type(value) == "boolean" then return value end
  local expected = "true, false or a list of column names"
  if type(value) ~= "table" or #value == 0 then return nil, expected end
  for _, name in ipairs(value) do
    if type(name) ~= "string" then return nil, expected end
  end
  return value
end

local function separator_rule(value)
  if type(value) ~= "string" or #value ~= 1 or value:find('[\r\n"]') then
    return nil, 'one character, such as "," or ";"'
  end
  return value
end

local function types_rule(value)
  if type(value) ~= "table" then return nil, "a table of columns and types" end
  for _, name in ipairs(check.sorted_keys(value)) do
    local _, expected = column_type(value[name])
    if expected ~= nil then return nil, ('a table of columns and types (column "%s": %s)'):format(name, expected) end
  end
  return value
end

local CSV = { header = { rule = header_rule }, separator = { rule = separator_rule }, types = { rule = types_rule } }

--- The CSV format with its options; `types` is of columns that are not strings.
---
---     sw.from.file("in.csv", { format = sw.csv{ separator = ";", types = { amount = "f64" } } })
---@param options { header: boolean|string[]?, separator: string?, types: table<string, swlua.FieldType>? }?
---@return swlua.Csv
function M.csv(options)
  local out = check.options("sw.csv", options, CSV)
  if out.header == nil then out.header = true end
  return { kind = "csv", header = out.header, separator = out.separator or ",", types = out.types or {} }
end

return M
