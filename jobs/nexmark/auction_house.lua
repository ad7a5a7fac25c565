--- What the NEXMark queries share: the events of an online auction house, and where rows go.
---
---     --set input=FILE     JSON lines, - for standard input; default the sample beside this file
---     --set disorder=MS    no event is more than so many ms behind the greatest time before it; default 0
---     --set output=FILE    default standard output
local sw = require "swlua"

local M = {}

local here = debug.getinfo(1, "S").source:match("^@(.*)/") or "."

local TYPES = {
  type = "string", ts = "time", extra = "string", id = "i64",
  auction = "i64", bidder = "i64", price = "i64", channel = "string", url = "string",
  name = "string", city = "string", state = "string",
  itemName = "string", description = "string", initialBid = "i64", reserve = "i64", expires = "time", seller = "i64",
  category = "i64",
}

local function schema(fields)
  local types = { type = TYPES.type, ts = TYPES.ts }
  for _, field in ipairs(fields) do types[field] = TYPES[field] end
  return sw.record(types)
end

--- The events of all kinds, with these fields besides type and ts.
function M.events(job, fields)
  local input = sw.args.input or here .. "/sample.jsonl"
  local source = input == "-" and sw.from.stdin() or sw.from.file(tostring(input))
  return job:source("events", source, {
    schema = schema(fields), time = "ts", max_delay = ("%dms"):format(sw.args.disorder or 0),
  })
end

--- Those of one kind: "bid", "auction" or "person".
function M.of(events, kind)
  return events:filter(kind .. "s", function(event) return event.type == kind end)
end

--- The bids, with these fields besides ts.
function M.bids(job, fields)
  return M.of(M.events(job, fields), "bid")
end

function M.write(rows)
  rows:to("rows", sw.args.output and sw.to.file(tostring(sw.args.output)) or sw.to.stdout())
end

-- Calendar ---------------------------------------------------------------------------------------------------------

--- "2015-07-15" of a time, in UTC.
function M.day(ts) return os.date("!%Y-%m-%d", math.floor(ts / 1000)) end

--- "09:30" of a time, in UTC.
function M.minute(ts) return os.date("!%H:%M", math.floor(ts / 1000)) end

-- Counters by price ------------------------------------------------------------------------------------------------

local RANKS = {
  total = function() return true end,
  rank1 = function(price) return price < 10000 end,
  rank2 = function(price) return price >= 10000 and price < 1000000 end,
  rank3 = function(price) return price >= 1000000 end,
}

--- Adds, for each rank, RANK_bids to `fields`, and with `distinct` RANK_bidders and RANK_auctions.
function M.count_by_price(fields, distinct)
  for rank, holds in pairs(RANKS) do
    fields[rank .. "_bids"] = sw.sum(function(bid) return holds(bid.price) and 1 or 0 end)
    if distinct then
      fields[rank .. "_bidders"] = sw.distinct(function(bid) return holds(bid.price) and bid.bidder or nil end)
      fields[rank .. "_auctions"] = sw.distinct(function(bid) return holds(bid.price) and bid.auction or nil end)
    end
  end
  return fields
end

return M
