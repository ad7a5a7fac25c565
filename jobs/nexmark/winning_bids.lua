--- Winning bids: per auction the highest bid that came while it was open; of equal ones the earliest.
---
---     auctions ─┐
---               ├─► by auction: bids wait for their auction, the auction for its end ─► { auction, bid }
---     bids ─────┘
local M = {}

--- What of an event is kept: of what the source gives, an auction's and a bid's fields.
local FIELDS = {
  auction = { "id", "itemName", "description", "initialBid", "reserve", "expires", "seller", "category", "extra" },
  bid = { "auction", "bidder", "price", "extra" },
}

local function copy(event, kept)
  local t = { ts = event.ts }
  for _, field in ipairs(kept) do t[field] = event[field] end
  return t
end

local function offer(state, bid)
  local auction, best = state.auction, state.best
  if bid.ts < auction.ts or bid.ts > auction.expires then return end
  if not best or bid.price > best.price or bid.price == best.price and bid.ts < best.ts then state.best = bid end
end

local function take(event, out, state, kept)
  if event.type == "auction" then
    state.auction = copy(event, kept.auction)
    for _, bid in ipairs(state.early or {}) do offer(state, bid) end
    state.early = nil
    return out:timer(event.expires + 1, "close")
  end
  local bid = copy(event, kept.bid)
  if state.auction then return offer(state, bid) end
  state.early = state.early or {}
  table.insert(state.early, bid)
  out:timer(event.ts + 1, "forget") -- No auction that is older than the last of them can come any more.
end

local function on_timer(_, _, out, state, name)
  if name == "close" and state.best then out:emit({ auction = state.auction, bid = state.best }) end
  if name == "close" then state.auction, state.best = nil, nil end
  state.early = nil
end

local function common(names, fields)
  local wanted, result = {}, {}
  for _, field in ipairs(fields) do wanted[field] = true end
  for _, name in ipairs(names) do
    if wanted[name] then result[#result + 1] = name end
  end
  return result
end

--- The stream of { auction, bid }, as auctions close; `fields`: those that the source gives besides type and ts.
function M.of(events, fields)
  local kept = { auction = common(FIELDS.auction, fields), bid = common(FIELDS.bid, fields) }
  return events:filter("auctions-and-bids", function(event) return event.type ~= "person" end)
    :key_by(function(event) return event.type == "bid" and event.auction or event.id end)
    :apply("winning-bids", {
      apply = function(_, event, out, state) take(event, out, state, kept) end,
      on_timer = on_timer,
    })
end

return M
