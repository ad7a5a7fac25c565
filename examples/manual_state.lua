--- Manually managed state: a component keeps its state in a file of its own, at its own pace, with the number of the
--- last event that is in it. After a crash the source goes back a little more than need be, and the component
--- skips what it has seen: the total is exact though each event may come twice.
--- --set file=PATH: where it keeps it.
local sw = require "swlua"

local path = sw.args.file or "total.state"

--- Writes a new file and gives it the old one's name, so that there is always a whole one.
local function save(self)
  local file = assert(io.open(path .. ".new", "w"))
  assert(file:write(("%d %d\n"):format(self.seen, self.total)))
  assert(file:close())
  assert(os.rename(path .. ".new", path))
end

local total = {
  setup_instance = function(self)
    self.seen, self.total = 0, 0
    local file = io.open(path)
    if not file then return end
    self.seen, self.total = file:read("*n", "*n")
    file:close()
  end,
  apply = function(self, payment, out)
    if payment.id <= self.seen then return end
    self.seen, self.total = payment.id, self.total + payment.cents
    if payment.id % 3 == 0 then save(self) end
    out:emit({ id = payment.id, total = self.total })
  end,
  close = save,
}

local job = sw.job("manual_state", { delivery = "at-least-once" })

job:source("payments", sw.from.stdin(), { journal = true })
  :apply("total", total, { parallelism = 1 })
  :print()

return job
