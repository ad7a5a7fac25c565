--- Analyzer: could the card have come here since its last payment?
---
--- Keeps the last place where the card plausibly was. A payment that would have needed more than 900 km/h to get to is
--- suspicious, and does not become the last place: otherwise the owner's next payment at home would be flagged too. An
--- owner who really moved is believed as soon as the time suffices.
---@class fraud.proximity
local M = {}

local geo = require((...):match("^(.-)[^.]*$") .. "geo")

local FASTEST_KM_H = 900
local NEAR_KM = 50 -- Places are not exact: two shops of one town are no journey, however soon after each other.
local MS_PER_HOUR = 3600000

--- What is kept per card.
M.state = { ts = "time", lat = "f64", lon = "f64" }

--- Scores one payment and remembers its place if it is plausible. A payment without a place scores 0.
---@param event { ts: number, lat: number?, lon: number? }
---@param state table the card's; fields as in M.state
---@return number score from 0 to 1
---@return string|nil reason
function M.score(event, state)
  if not (event.lat and event.lon) then return 0 end
  if state.ts then
    local km = geo.distance_km(state.lat, state.lon, event.lat, event.lon)
    local hours = math.abs(event.ts - state.ts) / MS_PER_HOUR -- Events may come out of order.
    if km > NEAR_KM and km > FASTEST_KM_H * hours then
      return 0.9, "too far from the last place for the time between"
    end
    if event.ts < state.ts then return 0 end
  end
  state.ts, state.lat, state.lon = event.ts, event.lat, event.lon
  return 0
end

return M
