--- Lambda usage, the fast half: the count of each minute after every event, at once and without a guarantee.
---
---     swlua run jobs/lambda_usage/stream.lua --set log=fraud --set output=stream.jsonl [--set follow=1]
---
--- The last row of a minute counts. A crash loses what was in memory: the batch half puts that right (batch.lua), and
--- the view prefers it as far as it reaches (view.lua).
local sw = require "swlua"
package.path = (debug.getinfo(1, "S").source:match("^@(.*)/") or ".") .. "/../?.lua;" .. package.path
local per_minute = require "usage.per_minute"

local decision = sw.record{ id = "i64", ts = "time", flagged = "bool" }

local job = sw.job("lambda_usage_stream", { delivery = "at-most-once" })

job:source("decisions", sw.from.log(sw.args.log or "fraud", { follow = sw.args.follow == 1 }),
    { schema = decision, time = "ts", max_delay = "10s" })
  :key_by(per_minute.of)
  :apply("so-far", function(event, out, state)
    per_minute.count(event, state)
    out:emit(per_minute.row(state))
  end, { ttl = "1h" })
  :to("stream", sw.to.file(sw.args.output or "stream.jsonl"))

return job
