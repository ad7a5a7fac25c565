--- Operator, keyed by minute: counts the transactions of a minute and the frauds among them, and gives the row when the
--- watermark says that the minute is over. What comes later is counted as late and changes nothing.
---@class usage.per_minute
local M = {}

local MINUTE_MS = 60000

--- The minute an event belongs to: its beginning, in ms since 1970.
---
---     per_minute.of({ ts = 61500 })   --> 60000
---@param event { ts: integer }
---@return integer
function M.of(event)
  return event.ts - event.ts % MINUTE_MS
end

--- A row of the count so far.
---@param state { minute: integer, transactions: integer, frauds: integer }
function M.row(state)
  return { minute = state.minute, transactions = state.transactions, frauds = state.frauds }
end

--- Counts one decision.
function M.count(event, state)
  state.minute = M.of(event)
  state.transactions = (state.transactions or 0) + 1
  state.frauds = (state.frauds or 0) + (event.flagged and 1 or 0)
end

function M.apply(_, event, out, state)
  local over = M.of(event) + MINUTE_MS
  if over <= out.watermark then return out:emit_to("late", { ts = event.ts, id = event.id }) end
  M.count(event, state)
  out:timer(over)
end

function M.on_timer(_, _, out, state)
  out:emit(M.row(state), state.minute)
  state.minute, state.transactions, state.frauds = nil, nil, nil
end

return M
