--- What swlua is measured against: the same work as a plain LuaJIT script.
---
---     luajit rival.lua q0|q1|q2|count INPUT OUTPUT
local cjson = require("cjson")

local BUFFER_BYTES = 256 * 1024

local queries = {}

function queries.q0(bid)
  return { auction = bid.auction, bidder = bid.bidder, price = bid.price, dateTime = bid.ts, extra = bid.extra }
end

function queries.q1(bid)
  return { auction = bid.auction, bidder = bid.bidder, price = 0.908 * bid.price, dateTime = bid.ts, extra = bid.extra }
end

function queries.q2(bid)
  if bid.auction % 123 == 0 then return { auction = bid.auction, price = bid.price } end
end

local counts = {}

function queries.count(bid)
  local n = (counts[bid.bidder] or 0) + 1
  counts[bid.bidder] = n
  return { bidder = bid.bidder, n = n }
end

local name, input, output = ...
local query = queries[name]
if not (query and output) then
  io.stderr:write("usage: luajit rival.lua q0|q1|q2|count INPUT OUTPUT\n")
  os.exit(2)
end

local out = assert(io.open(output, "w"))
out:setvbuf("full", BUFFER_BYTES)
local decode, encode = cjson.decode, cjson.encode
for line in io.lines(input) do
  local event = decode(line)
  if event.type == "bid" then
    local row = query(event)
    if row then out:write(encode(row), "\n") end
  end
end
assert(out:close())
