-- The smallest job: one event, one line.
local sw = require("swlua")
local job = sw.job("bench_start")
job:source("one", sw.from.generator(function(i) return { n = i } end, { count = 1 })):print()
return job
