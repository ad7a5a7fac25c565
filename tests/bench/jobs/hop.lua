-- What it costs an event of 128 bytes to reach another task.
-- --set events=N --set hop=fused|same|other     (other: with --workers 2)
local sw = require("swlua")

local FIELDS = 16 -- of 8 bytes each

local layout = {}
for i = 1, FIELDS do
  layout["f" .. i] = "i64"
end
local wide = sw.record(layout)

local function rows(i)
  return {
    f1 = i, f2 = i, f3 = i, f4 = i, f5 = i, f6 = i, f7 = i, f8 = i,
    f9 = i, f10 = i, f11 = i, f12 = i, f13 = i, f14 = i, f15 = i, f16 = i,
  }
end

local function whole(r)
  return r.f1 + r.f2 + r.f3 + r.f4 + r.f5 + r.f6 + r.f7 + r.f8 + r.f9 + r.f10 + r.f11 + r.f12 + r.f13 + r.f14 + r.f15
    == 15 * r.f16
end

local job = sw.job("bench_hop")
local stream = job:source("wide", sw.from.generator(rows, { count = sw.args.events }), { schema = wide })
local parallelism
if sw.args.hop ~= "fused" then
  -- Instance i of two runs on worker i, and the source on worker 0.
  local instance = sw.args.hop == "other" and 1 or 0
  parallelism = 2
  stream = stream:partition(function()
    return instance
  end)
end
stream:filter("rows", whole, { parallelism = parallelism }):to("out", sw.to.null())

return job
