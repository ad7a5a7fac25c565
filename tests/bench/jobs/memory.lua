-- Generated bids through a filter and a map; nothing is read.
-- --set events=N [--set output=FILE] [--set shape=table]
local sw = require("swlua")
local generate = require("generate")

local bid = sw.args.shape ~= "table" and sw.record(generate.BID) or nil
local sink = sw.args.output and sw.to.file(sw.args.output) or sw.to.null()

local job = sw.job("bench_memory")
job
  :source("bids", sw.from.generator(generate.bid, { count = sw.args.events }), { schema = bid })
  :filter("selected", function(b)
    return b.auction % 123 ~= 0
  end)
  :map("rows", function(b)
    return { id = b.id, auction = b.auction, bidder = b.bidder, price = b.price * 0.908, ts = b.ts }
  end, { schema = bid })
  :to("out", sink)

return job
