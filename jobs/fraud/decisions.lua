--- Sink: prints flagged transactions as JSON lines and, when the input has ended, precision and recall.
---
--- Both are done by this one sink, and not by sw.to.stdout beside a second one, because the summary has to be the last
--- line: two sinks on one standard output have no order between them. It is a sink because close() of an operator can
--- not emit any more, while a sink needs nobody downstream.
---@class fraud.decisions
local M = {}

local evaluation = require((...):match("^(.-)[^.]*$") .. "evaluation")

local ESCAPES = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

local function escape(c)
  return ESCAPES[c] or ("\\u%04x"):format(c:byte())
end

local function quote(text)
  return '"' .. text:gsub('[%c"\\]', escape) .. '"'
end

local function json(format, value)
  return value == nil and "null" or format:format(value)
end

--- A flagged decision as one line of JSON, without the line's end. What the input lacked is null.
---@param decision table as score_aggregator emits it
---@return string
function M.line(decision)
  local reasons = {}
  for i, reason in ipairs(decision.reasons) do reasons[i] = quote(reason) end
  return ('{"id":%s,"card":%s,"amount":%s,"score":%.14g,"reasons":[%s]}'):format(
    json("%d", decision.id), json("%s", decision.card and quote(decision.card)), json("%.14g", decision.amount),
    decision.score, table.concat(reasons, ","))
end

--- The sink's table, writing to file.
---@param file file* an open file, such as io.stdout
---@return table
function M.sink(file)
  return {
    setup_instance = function(self)
      self.evaluation = evaluation.new()
      file:setvbuf("line") -- Whoever watches a live input wants to see each alarm when it comes.
    end,
    apply = function(self, decision)
      self.evaluation:add(decision)
      if decision.flagged then assert(file:write(M.line(decision), "\n")) end
    end,
    close = function(self)
      local summary = self.evaluation:summary()
      if summary then assert(file:write(summary, "\n")) end
      assert(file:flush())
    end,
  }
end

return M
