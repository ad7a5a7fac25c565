--- Analyzer: how often was the card used in the minute that ends with this payment?
---
--- A sliding minute held in keyed state: the payments' times, oldest first. It decides with every payment, without
--- waiting for a window to end, and no boundary can split a burst.
---@class fraud.transaction_count
local M = {}

local MINUTE_MS = 60000
local LATE_MS = 2000 -- How far out of order the source lets events come: such a one must still find its minute.
local KEPT = 64      -- Times kept per card: a burst longer than that is flagged anyway.

-- The score by the number of payments in the minute; more than listed count as the last.
local SCORES = { 0, 0.35, 0.5, 0.65, 0.8, 0.9 }

local function insert_in_order(state, ts)
  local at = #state + 1
  while at > 1 and state[at - 1] > ts do
    state[at] = state[at - 1]
    at = at - 1
  end
  state[at] = ts
end

local function forget_old(state)
  local horizon = state[#state] - MINUTE_MS - LATE_MS
  while state[1] <= horizon or #state > KEPT do table.remove(state, 1) end
end

--- Payments in (ts - 1 minute, ts].
local function count_until(state, ts)
  local n = 0
  for i = #state, 1, -1 do
    if state[i] <= ts - MINUTE_MS then break end
    if state[i] <= ts then n = n + 1 end
  end
  return n
end

--- Scores one payment and counts it.
---@param event { ts: number }
---@param state number[] the card's recent times, ascending
---@return number score from 0 to 1
---@return string|nil reason
function M.score(event, state)
  insert_in_order(state, event.ts)
  local n = count_until(state, event.ts)
  forget_old(state)
  local score = SCORES[math.min(math.max(n, 1), #SCORES)]
  if score == 0 then return 0 end
  return score, n .. " payments within a minute"
end

return M
