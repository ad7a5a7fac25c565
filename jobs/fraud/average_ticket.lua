--- Analyzer: is this amount unusual for this card?
---
--- Keeps the running mean and deviation of the card's amounts (Welford: one pass, no list of amounts). They are taken
--- of log(amount), because what people spend is skewed: 10 against 40 is as far as 40 against 160.
--- A far too large amount is suspicious by itself; a far too small one, as thieves pay to test a card, only together
--- with what the other analyzers say.
---@class fraud.average_ticket
local M = {}

local WARM_UP = 5           -- Payments before the card has a habit to speak of.
local LEAST_DEVIATION = 0.3 -- Of log(amount): nobody is so regular that a third more is strange.
local USUAL = 3             -- Deviations above the mean that are still usual,
local ABSURD = 5.5          -- and those that can hardly be the owner;
local USUAL_BELOW = 2       -- the same below the mean, where amounts end at nothing
local ABSURD_BELOW = 4      -- and cannot go as far.
local BELOW_SCORE = 0.55    -- What an absurdly small amount counts at most.
local SMALLEST = 0.01       -- log() needs a positive amount; refunds and zeros count as this.

local log, sqrt, max, min = math.log, math.sqrt, math.max, math.min

--- What is kept per card.
M.state = { n = "i64", mean = "f64", m2 = "f64" }

local function learn(state, x)
  local n, mean = (state.n or 0) + 1, state.mean or 0
  local delta = x - mean
  mean = mean + delta / n
  state.n, state.mean, state.m2 = n, mean, (state.m2 or 0) + delta * (x - mean)
end

local function deviation(state)
  return max(sqrt(state.m2 / (state.n - 1)), LEAST_DEVIATION)
end

--- 0 at low, 1 from high on, in between in proportion.
local function ramp(z, low, high)
  return min((z - low) / (high - low), 1)
end

--- Scores one payment and learns from it. What is beyond the usual is learned as the edge of the usual, so that a
--- theft does not become the habit, while a lasting change does.
---@param event { amount: number }
---@param state table the card's; fields as in M.state
---@return number score from 0 to 1
---@return string|nil reason
function M.score(event, state)
  local x = log(max(event.amount, SMALLEST))
  if (state.n or 0) < WARM_UP then
    learn(state, x)
    return 0
  end
  local mean, dev = state.mean, deviation(state)
  local z = (x - mean) / dev
  learn(state, min(max(x, mean - USUAL * dev), mean + USUAL * dev))
  if z > USUAL then return ramp(z, USUAL, ABSURD), "amount far above the card's habit" end
  if z < -USUAL_BELOW then
    return BELOW_SCORE * ramp(-z, USUAL_BELOW, ABSURD_BELOW), "amount far below the card's habit"
  end
  return 0
end

return M
