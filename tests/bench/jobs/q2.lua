-- NEXMark q2, selection: price of the bids on every 123rd auction.
-- --set input=FILE --set output=FILE [--set shape=table]
local sw = require("swlua")

local bid, row
if sw.args.shape ~= "table" then
  bid = sw.record({ type = "string", auction = "i64", price = "i64" })
  row = sw.record({ auction = "i64", price = "i64" })
end

local job = sw.job("bench_q2")
job
  :source("events", sw.from.file(sw.args.input), { schema = bid })
  :filter("selected", function(event)
    return event.type == "bid" and event.auction % 123 == 0
  end)
  :map("rows", function(b)
    return { auction = b.auction, price = b.price }
  end, { schema = row })
  :to("out", sw.to.file(sw.args.output))

return job
