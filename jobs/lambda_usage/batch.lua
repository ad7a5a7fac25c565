--- Lambda usage, the exact half: counts the whole log from its beginning and ends.
---
---     swlua run jobs/lambda_usage/batch.lua --set log=fraud --set output=batch.jsonl
---
--- Run it as often as the exact numbers are wanted. It reads what is in the log when it starts; started again after a
--- crash it goes on, and its output is that of a run without one.
local sw = require "swlua"
package.path = (debug.getinfo(1, "S").source:match("^@(.*)/") or ".") .. "/../?.lua;" .. package.path
local per_minute = require "usage.per_minute"

local decision = sw.record{ id = "i64", ts = "time", flagged = "bool" }

local job = sw.job("lambda_usage_batch", { delivery = "exactly-once", checkpoint = { interval = "10s" } })

job:source("decisions", sw.from.log(sw.args.log or "fraud", { follow = false }),
    { schema = decision, time = "ts", max_delay = "10s" })
  :key_by(per_minute.of)
  :apply("exact", per_minute)
  :to("batch", sw.to.file(sw.args.output or "batch.jsonl"))

return job
