--- Connectors that events go to: `sw.to.*`. They only describe; the engine opens them in each instance.
local check = require("swlua.check")
local format = require("swlua.format")
local from = require("swlua.from")

---@class swlua.to
local M = {}

local FILE = {
  format = { rule = format.rule },
  mode = { rule = check.one_of({ "replace", "append" }) },
  rotate = { later = true },
}

local STDOUT = { format = { rule = format.rule } }

--- Writes a file: one instance, unless the path contains `{instance}`.
---
---     alerts:to("alerts", sw.to.file("alerts.jsonl"))
---     alerts:to("parts", sw.to.file("part-{instance}.jsonl", { mode = "append" }), { parallelism = 4 })
---@param path string
---@param options { format: string|table?, mode: "replace"|"append"? }?
---@return swlua.Connector
function M.file(path, options)
  local out = format.apply(check.options("sw.to.file", options, FILE))
  out.path = from._path("sw.to.file", path)
  out.mode = out.mode or "replace"
  return from._connector("sink", "file", out, not out.path:find("{instance}", 1, true))
end

--- Writes to standard output, one line an event.
---
---     totals:to("totals", sw.to.stdout())
---@param options { format: string|table? }?
---@return swlua.Connector
function M.stdout(options)
  return from._connector("sink", "stdout", format.apply(check.options("sw.to.stdout", options, STDOUT)), true)
end

local KEY_FIELDS_MAX = 16

local function key_rule(value)
  local expected = "a field name or a list of up to " .. KEY_FIELDS_MAX .. " of them"
  local names = type(value) == "table" and value or { value }
  if #names == 0 or #names > KEY_FIELDS_MAX then return nil, expected end
  for _, name in ipairs(names) do
    if type(name) ~= "string" or name == "" or name:find("%z") then return nil, expected end
  end
  return names
end

local STORE = { key = { rule = key_rule } }

--- Keeps a table on disk: an event replaces the one with the same key; one whose field `deleted` is true removes it.
--- The table is an LMDB file that other programs may read: msgpack keys, and events as msgpack maps.
---
---     totals:to("totals", sw.to.store("totals.db", { key = "card" }))
---     totals:to("by_day", sw.to.store("days.db", { key = { "card", "day" } }))
---@param path string
---@param options { key: string|string[] }
---@return swlua.Connector
function M.store(path, options)
  local given = check.options("sw.to.store", options, STORE)
  if given.key == nil and not (type(options) == "table" and options.key ~= nil) then
    check.problem('sw.to.store: option "key" is missing: the field, or the list of fields, that tells rows apart')
  end
  local names = given.key or { "key" }
  local out = { path = from._path("sw.to.store", path), keys = #names }
  for i, name in ipairs(names) do
    out["key" .. i] = name
  end
  return from._connector("sink", "store", out, true)
end

--- Appends to an event log, which is made when the job starts. One job at a time writes a log; it has one instance.
---
---     transactions:to("log", sw.to.log("transactions"))
---@param name string
---@return swlua.Connector
function M.log(name)
  return from._connector("sink", "log", { name = from._log_name("sw.to.log", name) }, true)
end

--- Takes events and does nothing with them.
---
---     events:to("nowhere", sw.to.null())
---@return swlua.Connector
function M.null()
  return from._connector("sink", "null", {}, false)
end

return from._guard(M, "sw.to.", "sink")
