--- Distances on the globe.
---@class fraud.geo
local M = {}

local EARTH_RADIUS_KM = 6371
local rad, sin, cos, asin, sqrt, min = math.rad, math.sin, math.cos, math.asin, math.sqrt, math.min

--- Great-circle distance between two places given in degrees (haversine).
---
---     geo.distance_km(52.52, 13.41, 48.86, 2.35)   --> 877 and a bit: Berlin to Paris
---@param lat1 number
---@param lon1 number
---@param lat2 number
---@param lon2 number
---@return number kilometres
function M.distance_km(lat1, lon1, lat2, lon2)
  local half_lat, half_lon = sin(rad(lat2 - lat1) / 2), sin(rad(lon2 - lon1) / 2)
  local h = half_lat * half_lat + cos(rad(lat1)) * cos(rad(lat2)) * half_lon * half_lon
  return 2 * EARTH_RADIUS_KM * asin(sqrt(min(h, 1))) -- Rounding can push h a hair over 1 at antipodes.
end

return M
