--- Counting words: flat_map makes many events of one, key_by brings equal words together, keyed state counts them.
local sw = require "swlua"

local job = sw.job("word_count")

job:source("lines", sw.from.stdin({ format = "lines" }))
  :flat_map("words", function(event, emit)
    for word in event.line:lower():gmatch("%a+") do emit({ word = word }) end
  end)
  :key_by("word")
  :apply("count", function(event, out, state)
    state.n = (state.n or 0) + 1
    out:emit({ word = event.word, n = state.n })
  end)
  :to("counts", sw.to.stdout())

return job
