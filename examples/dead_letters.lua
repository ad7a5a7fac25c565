--- An error in user code costs one event, not the job: on_error = "dead-letter" sets the event aside with the error,
--- and the job's dead letters are a stream like any other. This job prints only those; its good results go nowhere.
local sw = require "swlua"

local job = sw.job("dead_letters")

job:source("orders", sw.from.stdin())
  :map("unit-price", function(event) return { price = event.total / event.units } end, { on_error = "dead-letter" })
  :to("prices", sw.to.null())

job:dead_letters()
  :map("summary", function(letter) return { component = letter.component, order = letter.event.order } end)
  :to("letters", sw.to.stdout())

return job
