-- A running count of bids by bidder, JSON lines to JSON lines.
-- --set input=FILE --set output=FILE [--set shape=table]
local sw = require("swlua")

local bid, row, count
if sw.args.shape ~= "table" then
  bid = sw.record({ type = "string", bidder = "i64" })
  row = sw.record({ bidder = "i64", n = "i64" })
  count = sw.record({ n = "i64" })
end

local job = sw.job("bench_count")
job
  :source("events", sw.from.file(sw.args.input), { schema = bid })
  :filter("bids", function(event)
    return event.type == "bid"
  end)
  :key_by("bidder")
  :apply("count", function(event, out, state)
    state.n = (state.n or 0) + 1
    out:emit({ bidder = event.bidder, n = state.n })
  end, { schema = row, state = count })
  :to("out", sw.to.file(sw.args.output))

return job
