--- Writes labelled transactions to try the fraud job on, as JSON lines.
---
---     swlua run jobs/fraud/generate.lua --set count=5000 --set seed=1 --set output=transactions.jsonl
---     swlua run jobs/fraud/generate.lua --set count=100000 | swlua run jobs/fraud.lua --set input=-
---
--- jobs/samples/transactions.jsonl is the output for count=5000 and seed=1, which are the defaults.
local sw = require "swlua"
local generator = require "generator"

local BATCH = 256 -- Transactions per call.

local count, seed, output = sw.args.count or 5000, sw.args.seed or 1, sw.args.output
assert(type(count) == "number" and count >= 0 and count % 1 == 0, "count: expected a whole number of transactions")
assert(type(seed) == "number" and seed % 1 == 0, "seed: expected a whole number")

local source = {
  setup_instance = function(self) self.transactions = generator.new(count, seed) end,
  get_events = function(self, out)
    for _ = 1, BATCH do
      local event = self.transactions:next()
      if not event then return "done" end
      out:emit(event)
    end
  end,
}

local job = sw.job("generate")
job:source("transactions", source, { parallelism = 1, time = "ts" })
  :to("output", output and sw.to.file(output) or sw.to.stdout())
return job
