--- Tables of functions that users write: custom operators, sources and sinks. Checks the members the engine knows;
--- others are the user's own.
local check = require("swlua.check")
local record = require("swlua.record")

---@class swlua.operator
local M = {}

local FUNCTION = check.rule.func
local VERSION = check.integer(1, 2 ^ 31 - 1)

---@type table<string, { required: string, members: table<string, swlua.Rule> }>
local KINDS = {
  operator = {
    required = "apply",
    members = {
      apply = FUNCTION, close = FUNCTION, get_state = FUNCTION, on_timer = FUNCTION, rescale = FUNCTION,
      setup_instance = FUNCTION, upgrade = FUNCTION, manual_ack = check.rule.boolean, version = VERSION,
      state = check.rule.schema,
    },
  },
  source = {
    required = "get_events",
    members = {
      ack = FUNCTION, close = FUNCTION, fail = FUNCTION, get_events = FUNCTION, get_state = FUNCTION,
      rescale = FUNCTION, setup_instance = FUNCTION, upgrade = FUNCTION, version = VERSION,
    },
  },
  sink = {
    required = "apply",
    members = {
      abort = FUNCTION, apply = FUNCTION, close = FUNCTION, commit = FUNCTION, get_state = FUNCTION,
      prepare = FUNCTION, rescale = FUNCTION, setup_instance = FUNCTION, upgrade = FUNCTION, version = VERSION,
    },
  },
}

local function check_required(subject, kind, value)
  local name = KINDS[kind].required
  if value[name] ~= nil then return end
  local near = check.nearest(name, check.sorted_keys(value))
  local hint = near and (' (is "%s" meant to be it?)'):format(near) or ""
  check.problem(("%s: a custom %s needs the function %s%s"):format(subject, kind, name, hint))
end

--- Checks a table of functions.
---@param subject string for messages
---@param kind "operator"|"source"|"sink"
---@param value table
function M.check(subject, kind, value)
  check_required(subject, kind, value)
  local members = KINDS[kind].members
  for _, name in ipairs(check.sorted_keys(members)) do
    local member = value[name]
    if member ~= nil then
      local _, expected = members[name](member)
      if expected ~= nil then
        local text = '%s: "%s" of the %s must be %s, got %s'
        check.problem(text:format(subject, name, kind, expected, check.show(member)))
      end
    end
  end
end

--- Checks that a schema has the fields that something reads.
---@param subject string for messages
---@param schema swlua.Schema?
---@param fields string[]
---@param numeric boolean? the fields must be numbers
function M.check_fields(subject, schema, fields, numeric)
  if schema == nil then return end
  for _, name in ipairs(fields) do
    local field = record.find(schema, name)
    if field == nil then
      local hint = check.suggestion(name, record.names(schema))
      check.problem(('%s: the schema has no field "%s"%s'):format(subject, name, hint))
    elseif numeric and (field.type == "string" or field.type == "bool") then
      local text = '%s: field "%s" gives event time and must be "time", "i64" or "f64", not "%s"'
      check.problem(text:format(subject, name, field.type))
    end
  end
end

return M
