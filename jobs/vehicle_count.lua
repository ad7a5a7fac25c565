--- Vehicle count: how many vehicles of each type have passed a sensor so far. After every vehicle the running counts
--- are printed, one JSON line with the types in order.
---
---     sensor-reader ──► vehicle-counter ──► counts
---
---     swlua run jobs/vehicle_count.lua                                        the sample beside this script
---     swlua run jobs/vehicle_count.lua --set input=-                          type car, truck, ... line by line
---     swlua run jobs/vehicle_count.lua --set readers=2 --set counters=2 --set grouping=fields
---
--- With two readers input is a pattern ("vehicles-*.txt"): its files are shared out over them. With two counters each
--- has counts of its own: under grouping=shuffle both see every type, under grouping=fields a type belongs to one.
local sw = require "swlua"

local here = debug.getinfo(1, "S").source:match("^@(.*)/") or "."
local readers, counters = sw.args.readers or 1, sw.args.counters or 1
local grouping = sw.args.grouping or "shuffle"
local input = sw.args.input or here .. (readers > 1 and "/samples/vehicles-*.txt" or "/samples/vehicles.txt")

local vehicle_counter = {
  setup_instance = function(self, instance, state)
    self.id = instance.id
    self.counts = state and state.counts or {}
  end,
  apply = function(self, event, out)
    if event.line == "" then return end
    self.counts[event.line] = (self.counts[event.line] or 0) + 1
    local counts = {} -- A copy: what is emitted is the engine's, and these counts go on.
    for vehicle, n in pairs(self.counts) do counts[vehicle] = n end
    out:emit({ counter = self.id, counts = counts })
  end,
  get_state = function(self) return { counts = self.counts } end,
}

local job = sw.job("vehicle_count")

local vehicles = job:source("sensor-reader",
  input == "-" and sw.from.stdin({ format = "lines" }) or sw.from.file(input, { format = "lines" }),
  { parallelism = readers })

if grouping == "fields" then
  vehicles = vehicles:key_by("line")
elseif grouping == "shuffle" then
  vehicles = vehicles:shuffle()
else
  error(("grouping: expected shuffle or fields, got %s"):format(tostring(grouping)))
end

vehicles
  :apply("vehicle-counter", vehicle_counter, { parallelism = counters })
  :to("counts", sw.to.stdout(), { parallelism = 1 })

return job
