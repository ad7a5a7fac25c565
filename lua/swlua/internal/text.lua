--- Text that can be shown: what JSON says of input that is not UTF-8.
-- Cold code: it runs for what is malformed or failed.
local M = {}

local REPLACEMENT = "\239\191\189" -- U+FFFD

--- The forms of a UTF-8 character that is not ASCII, as patterns at a place.
local forms = {
  "^[\194-\223][\128-\191]",
  "^\224[\160-\191][\128-\191]", "^[\225-\236\238\239][\128-\191][\128-\191]", "^\237[\128-\159][\128-\191]",
  "^\240[\144-\191][\128-\191][\128-\191]", "^[\241-\243][\128-\191][\128-\191][\128-\191]",
  "^\244[\128-\143][\128-\191][\128-\191]",
}

local function character_at(text, at)
  for i = 1, #forms do
    local _, last = text:find(forms[i], at)
    if last then return text:sub(at, last) end
  end
end

--- Some bytes that are not ASCII, each that is no part of a character replaced.
local function repair(bytes)
  local parts, at = {}, 1
  while at <= #bytes do
    local character = character_at(bytes, at)
    parts[#parts + 1] = character or REPLACEMENT
    at = at + (character and #character or 1)
  end
  return table.concat(parts)
end

--- The text as UTF-8: bytes that are none become U+FFFD.
---
---     utf8("caf\233")   --> "caf\239\191\189"
---@param text string
---@return string
function M.utf8(text)
  return (text:gsub("[\128-\255]+", repair))
end

--- A copy of a value that JSON can hold: text as UTF-8, NaN and infinities as their names.
---
---     printable({ line = "\255", mean = 0/0 })   --> { line = "\239\191\189", mean = "nan" }
---@param value any what an event may hold
---@return any
function M.printable(value)
  if type(value) == "string" then return M.utf8(value) end
  if type(value) == "number" and value - value ~= 0 then return value ~= value and "nan" or tostring(value) end
  if type(value) ~= "table" then return value end
  local copy = {}
  for key, member in pairs(value) do copy[M.printable(key)] = M.printable(member) end
  return setmetatable(copy, getmetatable(value))
end

return M
