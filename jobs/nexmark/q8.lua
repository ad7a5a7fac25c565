--- NEXMark q8, new users: who registered and opened an auction within the same 10 s.
local sw = require "swlua"
local house = require "auction_house"

local job = sw.job("nexmark-q8")

house.write(house.events(job, { "id", "name", "seller" })
  :filter("persons-and-auctions", function(event) return event.type ~= "bid" end)
  :key_by(function(event) return event.type == "person" and event.id or event.seller end)
  :window(sw.tumbling("10s")):fold("seen", function() return {} end, function(seen, event)
    if event.type == "person" then seen.name = event.name else seen.sells = true end
    return seen
  end)
  :filter("both", function(seen) return seen.name and seen.sells end)
  :map("new-users", function(seen) return { id = seen.key, name = seen.name, stime = seen.window_start } end))

return job
