--- Makes NEXMark's events as JSON lines.
---
---     swlua run jobs/nexmark/generate.lua --set events=1000000 --set output=events.jsonl
---
--- --set events=N (default 10,000), seed=S, rate=R events per second of event time (default 10,000), disorder=MS: no
--- event is more than so far behind the greatest time before it. Without --set output they go to standard output.
local sw = require "swlua"
local generator = require "generator"

local job = sw.job("nexmark-generate", { delivery = "at-most-once" })

local make = generator.events({
  rate = sw.args.rate or 10000, seed = sw.args.seed or 1, disorder = sw.args.disorder or 0,
})

job:source("events", sw.from.generator(make, { count = sw.args.events or 10000 }))
  :to("lines", sw.args.output and sw.to.file(tostring(sw.args.output)) or sw.to.stdout())

return job
