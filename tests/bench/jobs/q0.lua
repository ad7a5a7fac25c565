-- NEXMark q0, pass-through: every bid.
-- --set input=FILE --set output=FILE [--set shape=table]
local sw = require("swlua")

local bid, row
if sw.args.shape ~= "table" then
  bid = sw.record({ type = "string", auction = "i64", bidder = "i64", price = "i64", ts = "time", extra = "string" })
  row = sw.record({ auction = "i64", bidder = "i64", price = "i64", dateTime = "time", extra = "string" })
end

local job = sw.job("bench_q0")
job
  :source("events", sw.from.file(sw.args.input), { schema = bid })
  :filter("bids", function(event)
    return event.type == "bid"
  end)
  :map("rows", function(b)
    return { auction = b.auction, bidder = b.bidder, price = b.price, dateTime = b.ts, extra = b.extra }
  end, { schema = row })
  :to("out", sw.to.file(sw.args.output))

return job
