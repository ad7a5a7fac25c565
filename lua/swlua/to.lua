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

--- Takes events and does nothing with them.
---
---     events:to("nowhere", sw.to.null())
---@return swlua.Connector
function M.null()
  return from._connector("sink", "null", {}, false)
end

return from._guard(M, "sw.to.", "sink")
