--- Schemas of records: which fields an event has, and of which type.
local check = require("swlua.check")

---@class swlua.record
local M = {}

---@alias swlua.FieldType "i64"|"f64"|"bool"|"time"|"string"

---@class swlua.Field
---@field name string
---@field type swlua.FieldType

---@class swlua.Schema
---@field kind "schema"
---@field fields swlua.Field[] sorted by name, or in the order they were given in
---@field text string canonical: "a:i64,b:f64"

local TYPES = { "bool", "f64", "i64", "string", "time" }
local FIELDS_MAX = 1024

local Schema = {}
Schema.__index = Schema
Schema.__tostring = function(self)
  return "sw.record{" .. self.text .. "}"
end

local function is_type(name)
  for _, known in ipairs(TYPES) do
    if known == name then return true end
  end
  return false
end

local function is_field_name(name)
  if type(name) ~= "string" or name == "" or name:find("%z") then
    check.problem(("sw.record: a field name must be a text that is not empty, got %s"):format(check.show(name)))
    return false
  end
  if name:sub(1, 4) == "sw__" then
    check.problem(('sw.record: field "%s": names that begin with "sw__" are the engine\'s own'):format(name))
    return false
  end
  return true
end

local function add_field(fields, seen, name, field_type)
  if not is_field_name(name) then return end
  if seen[name] then
    check.problem(('sw.record: field "%s" is given twice'):format(name))
    return
  end
  if not is_type(field_type) then
    local text = 'sw.record: field "%s": unknown type %s%s'
    check.problem(text:format(name, check.show(field_type), check.suggestion(field_type, TYPES)))
    field_type = "string"
  end
  seen[name] = true
  fields[#fields + 1] = { name = name, type = field_type }
end

local function fields_in_order(definition)
  local fields, seen = {}, {}
  for _, pair in ipairs(definition) do
    if type(pair) == "table" then
      add_field(fields, seen, pair[1], pair[2])
    else
      check.problem(('sw.record: a list holds { name, type } pairs, got %s'):format(check.show(pair)))
    end
  end
  return fields
end

local function fields_by_name(definition)
  local fields, seen = {}, {}
  for name, field_type in pairs(definition) do
    add_field(fields, seen, name, field_type)
  end
  table.sort(fields, function(a, b)
    return a.name < b.name
  end)
  return fields
end

--- A schema: the layout of records. A list of { name, type } pairs keeps its order; else fields are sorted by name.
---
---     sw.record{ price = "f64", auction = "i64" }.text          --> "auction:i64,price:f64"
---     sw.record{ { "price", "f64" }, { "auction", "i64" } }.text --> "price:f64,auction:i64"
---@param definition table<string, swlua.FieldType>|[string, swlua.FieldType][]
---@return swlua.Schema
function M.record(definition)
  if type(definition) ~= "table" then
    check.problem(("sw.record: expected a table of fields and types, got %s"):format(check.show(definition)))
    definition = {}
  end
  local fields = definition[1] ~= nil and fields_in_order(definition) or fields_by_name(definition)
  if #fields == 0 and not check.is_collecting() then check.problem("sw.record: a schema needs at least one field") end
  if #fields > FIELDS_MAX then
    check.problem(("sw.record: a schema has at most %d fields, got %d"):format(FIELDS_MAX, #fields))
  end
  local parts = {}
  for i, field in ipairs(fields) do
    parts[i] = field.name .. ":" .. field.type
  end
  return setmetatable({ kind = "schema", fields = fields, text = table.concat(parts, ",") }, Schema)
end

--- Is this a schema?
---@param value any
---@return boolean
function M.is_schema(value)
  return getmetatable(value) == Schema
end

--- The field of a schema, or nil.
---@param schema swlua.Schema
---@param name string
---@return swlua.Field?
function M.find(schema, name)
  for _, field in ipairs(schema.fields) do
    if field.name == name then return field end
  end
  return nil
end

--- Names of a schema's fields, sorted.
---@param schema swlua.Schema
---@return string[]
function M.names(schema)
  local names = {}
  for i, field in ipairs(schema.fields) do
    names[i] = field.name
  end
  table.sort(names)
  return names
end

return M
