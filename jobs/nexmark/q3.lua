--- NEXMark q3, local items: who sells in category 10 in three states.
local sw = require "swlua"
local house = require "auction_house"

local job = sw.job("nexmark-q3")
local STATES = { CA = true, ID = true, OR = true }

local events = house.events(job, { "id", "name", "city", "state", "seller", "category" })
local sellers = house.of(events, "person"):filter("local", function(person) return STATES[person.state] end)
local items = house.of(events, "auction"):filter("category-10", function(auction) return auction.category == 10 end)

house.write(sellers:join("local-items", items, {
  on = { "id", "seller" },
  row = function(person, auction)
    return { name = person.name, city = person.city, state = person.state, id = auction.id }
  end,
}))

return job
