--- A source of one's own: a table with get_events. Fibonacci numbers, exact to the last that 64 bits hold.
local sw = require "swlua"

local LAST = 92

local fibonacci = {
  setup_instance = function(self) self.n, self.value, self.following = 1, 1LL, 1LL end,
  get_events = function(self, out)
    if self.n > LAST then return "done" end
    out:emit({ n = self.n, value = self.value })
    self.n, self.value, self.following = self.n + 1, self.following, self.value + self.following
  end,
}

local job = sw.job("custom_source")

job:source("fibonacci", fibonacci)
  :filter("tenth", function(event) return event.n % 10 == 0 or event.n == LAST end)
  :to("numbers", sw.to.stdout())

return job
