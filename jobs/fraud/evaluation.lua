--- Precision and recall of decisions against the labels of their transactions.
---@class fraud.evaluation
---@field tp integer frauds that were flagged
---@field fp integer honest transactions that were flagged
---@field fn integer frauds that were not
---@field total integer decisions seen
---@field labelled boolean whether any transaction had a label
local M = {}
M.__index = M

---@return fraud.evaluation
function M.new()
  return setmetatable({ tp = 0, fp = 0, fn = 0, total = 0, labelled = false }, M)
end

--- Counts one decision. A transaction without a label counts as honest: many sources mark only the frauds.
---@param decision { flagged: boolean, fraud: boolean? }
function M:add(decision)
  self.total = self.total + 1
  self.labelled = self.labelled or decision.fraud ~= nil
  if decision.flagged and decision.fraud then
    self.tp = self.tp + 1
  elseif decision.flagged then
    self.fp = self.fp + 1
  elseif decision.fraud then
    self.fn = self.fn + 1
  end
end

--- Of those flagged, the part that is fraud; nil while nothing is flagged.
---@return number|nil
function M:precision()
  local flagged = self.tp + self.fp
  return flagged > 0 and self.tp / flagged or nil
end

--- Of the frauds, the part that is flagged; nil while there are none.
---@return number|nil
function M:recall()
  local frauds = self.tp + self.fn
  return frauds > 0 and self.tp / frauds or nil
end

local function percent(ratio)
  return ratio and ("%.2f"):format(ratio) or "-"
end

--- One line to print, or nil when there were no labels to compare with.
---
---     precision 0.93 recall 0.88 (tp 95 fp 7 fn 13 of 5000)
---@return string|nil
function M:summary()
  if not self.labelled then return nil end
  return ("precision %s recall %s (tp %d fp %d fn %d of %d)"):format(
    percent(self:precision()), percent(self:recall()), self.tp, self.fp, self.fn, self.total)
end

return M
