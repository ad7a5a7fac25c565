--- Sessions: a visitor's clicks belong to one visit as long as no half hour passes between them. Each visit is a row:
--- when it began, how long it took, which pages it saw. A click that comes late joins two visits to one.
local sw = require "swlua"

local job = sw.job("session")

job:source("clicks", sw.from.stdin(), { time = "ts", max_delay = "1h" })
  :key_by("visitor")
  :window(sw.session("30m"))
  :process("visits", function(window, clicks, out)
    local pages = {}
    for i, click in ipairs(clicks) do pages[i] = click.page end
    local minutes = (clicks[#clicks].ts - clicks[1].ts) / 60000
    out:emit({ visitor = window.key, from = sw.time.format(window.window_start), minutes = minutes, pages = pages })
  end)
  :to("rows", sw.to.stdout())

return job
