-- Generated bids through three operators; nothing is read.
-- --set events=N [--set output=FILE] [--set shape=table]
local sw = require("swlua")
local generate = require("generate")

local bid = sw.args.shape ~= "table" and sw.record(generate.BID) or nil
local sink = sw.args.output and sw.to.file(sw.args.output) or sw.to.null()

local job = sw.job("bench_chain")
job
  :source("bids", sw.from.generator(generate.bid, { count = sw.args.events }), { schema = bid })
  :map("euro", function(b)
    return { id = b.id, auction = b.auction, bidder = b.bidder, price = b.price * 0.908, ts = b.ts }
  end, { schema = bid })
  :filter("dear", function(b)
    return b.price > 1000000
  end)
  :map("rows", function(b)
    return { id = b.id, auction = b.auction, bidder = b.bidder, price = b.price + 250, ts = b.ts }
  end, { schema = bid })
  :to("out", sink)

return job
