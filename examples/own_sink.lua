--- A sink of your own that shows nothing before it is certain: what came since the last checkpoint is prepared at the
--- next one, and committed when that checkpoint is on the disk. After a crash commit may be called again with the same
--- checkpoint and value, so what it does has to bear that.
local sw = require "swlua"

local invoices = {
  setup_instance = function(self) self.lines = sw.array() end,
  apply = function(self, event) self.lines[#self.lines + 1] = event.name .. " " .. event.n end,
  prepare = function(self)
    local prepared = self.lines
    self.lines = sw.array()
    return prepared
  end,
  commit = function(_, _, prepared)
    for _, line in ipairs(prepared) do print(line) end
    io.stdout:flush()
  end,
}

local job = sw.job("own_sink", { delivery = "exactly-once" })

job:source("orders", sw.from.stdin(), { journal = true })
  :key_by("name")
  :apply("count", function(event, out, state)
    state.n = (state.n or 0) + 1
    out:emit({ name = event.name, n = state.n })
  end)
  :to("invoices", invoices, { parallelism = 1 })

return job
