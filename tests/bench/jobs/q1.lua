-- NEXMark q1, currency: every bid with its price in euro.
-- --set input=FILE --set output=FILE [--set shape=table]
local sw = require("swlua")

local bid, euro
if sw.args.shape ~= "table" then
  bid = sw.record({ type = "string", auction = "i64", bidder = "i64", price = "i64", ts = "time", extra = "string" })
  euro = sw.record({ auction = "i64", bidder = "i64", price = "f64", dateTime = "time", extra = "string" })
end

local job = sw.job("bench_q1")
job
  :source("events", sw.from.file(sw.args.input), { schema = bid })
  :filter("bids", function(event)
    return event.type == "bid"
  end)
  :map("euro", function(b)
    return { auction = b.auction, bidder = b.bidder, price = 0.908 * b.price, dateTime = b.ts, extra = b.extra }
  end, { schema = euro })
  :to("out", sw.to.file(sw.args.output))

return job
