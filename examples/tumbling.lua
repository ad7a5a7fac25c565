--- Fixed windows: how many cars passed, and how fast the fastest was, by road and quarter of an hour. Each event is in
--- exactly one window; one fires when the watermark reaches its end, and the last when the input ends.
local sw = require "swlua"

local job = sw.job("tumbling")

job:source("cars", sw.from.stdin(), { time = "ts", max_delay = "1m" })
  :key_by("road")
  :window(sw.tumbling("15m"))
  :aggregate("traffic", { cars = sw.count(), fastest = sw.max("kmh"), mean = sw.mean("kmh") })
  :map("readable", function(row)
    return { road = row.road, from = sw.time.format(row.window_start):sub(12, 16), cars = row.cars,
      fastest = row.fastest, mean = row.mean }
  end)
  :to("rows", sw.to.stdout())

return job
