--- Operator, keyed by transaction: brings the three partial scores of a transaction together into one decision.
---
--- It decides at once when all three are in, else 20 ms after the first, on those that have come by then. A partial
--- score that comes after the decision changes nothing.
---@class fraud.score_aggregator
local M = {}

local PATIENCE = "20ms"
local MEMORY = "1m"   -- A transaction decided early is remembered so long, lest a late score opens it.
local THRESHOLD = 0.7 -- From this score on a transaction is flagged.

-- The components the partial scores come from; also the order in which reasons are given.
local ANALYZERS = { "average-ticket", "proximity", "transaction-count" }

--- Partial scores are taken as independent chances of fraud: one strong suspicion suffices, as do several weak ones.
---
---     aggregator.combine({ proximity = 0.9 })                                  --> 0.9
---     aggregator.combine({ ["average-ticket"] = 0.5, ["transaction-count"] = 0.5 })  --> 0.75
---@param scores table<string, number> by analyzer; some may be missing
---@return number score from 0 to 1
function M.combine(scores)
  local innocent = 1
  for _, analyzer in ipairs(ANALYZERS) do innocent = innocent * (1 - (scores[analyzer] or 0)) end
  return 1 - innocent
end

local function is_complete(scores)
  for _, analyzer in ipairs(ANALYZERS) do
    if not scores[analyzer] then return false end
  end
  return true
end

local function decision(state)
  local reasons = {}
  for _, analyzer in ipairs(ANALYZERS) do reasons[#reasons + 1] = state.reasons[analyzer] end
  local score = M.combine(state.scores)
  return {
    id = state.id, ts = state.ts, card = state.card, amount = state.amount, fraud = state.fraud,
    score = math.floor(score * 100 + 0.5) / 100, reasons = reasons, flagged = score >= THRESHOLD,
  }
end

local function forget(state)
  state.id, state.ts, state.card, state.amount, state.fraud = nil, nil, nil, nil, nil
  state.scores, state.reasons, state.decided = nil, nil, nil
end

local function open(state, partial, out)
  state.id, state.ts, state.card, state.amount = partial.id, partial.ts, partial.card, partial.amount
  state.fraud = partial.fraud
  state.scores, state.reasons = {}, {}
  out:processing_timer(PATIENCE, "decide")
end

function M.apply(_, partial, out, state)
  if not state.scores then open(state, partial, out) end
  state.scores[out.from] = partial.score
  state.reasons[out.from] = partial.reason
  if not is_complete(state.scores) then return end
  out:cancel(state.decided and "forget" or "decide")
  if not state.decided then out:emit(decision(state)) end
  forget(state)
end

function M.on_timer(_, _, out, state, name)
  if name == "forget" then return forget(state) end
  out:emit(decision(state))
  state.decided = true
  out:processing_timer(MEMORY, "forget")
end

return M
