--- System usage: how many transactions a minute, and how many frauds among them, exactly.
---
---     decisions ──by minute──► usage-analyzer ──► usage-writer
---
---     swlua run jobs/fraud.lua --set log=fraud         writes the event log that this job reads
---     swlua run jobs/system_usage.lua                  counts what is in it: usage.jsonl
---     swlua run jobs/system_usage.lua --set follow=1   and goes on counting what comes
---
--- --set log=NAME reads another log, --set output=FILE writes another file. Unlike an alarm a bill must be right: the
--- job runs exactly once, so that killed and started again at any moment it writes each minute once, with the same
--- numbers.
--- Output: {"frauds":2,"minute":1704096000000,"transactions":31}
local sw = require "swlua"
local per_minute = require "usage.per_minute"

local decision = sw.record{ id = "i64", ts = "time", flagged = "bool" }

local job = sw.job("system_usage", { delivery = "exactly-once", checkpoint = { interval = "1s" } })

job:source("decisions", sw.from.log(sw.args.log or "fraud", { follow = sw.args.follow == 1 }),
    { schema = decision, time = "ts", max_delay = "10s" })
  :key_by(per_minute.of)
  :apply("usage-analyzer", per_minute)
  :to("usage-writer", sw.to.file(sw.args.output or "usage.jsonl"))

return job
