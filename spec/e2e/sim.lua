--- What the specs of simulation share: a job with every grouping, state, timers, errors and chance, and how it is run.
local support = require("spec.e2e.support")

local M = {}

local JOB = [[
local sw = require "swlua"
local job = sw.job("schedules", { parallelism = 3, backpressure = { queue = 16 } })

local function number(i) return { i = i, k = i % 7, weight = i * i % 11 }, i end
local one = job:source("one", sw.from.generator(number, { count = 150 }), { max_delay = "1s" })
local two = job:source("two", sw.from.generator(number, { count = 100 }), { parallelism = 2 })

local counter = {
  apply = function(self, event, out, state)
    state.n, state.weight = (state.n or 0) + 1, (state.weight or 0) + event.weight
    out:timer(1000000)
    out:emit_to("seen", { k = event.k, n = state.n })
  end,
  on_timer = function(self, time, out, state)
    for name, value in pairs(state) do out:emit({ k = out.key, name = name, value = value }) end
  end,
}

local all = sw.union(one, two:shuffle()):flat_map("double", function(event, emit)
  if event.i % 10 == 0 then error("no tens") end
  emit({ i = event.i, k = event.k, weight = event.weight })
  emit({ i = -event.i, k = event.k, weight = 1 })
end)
local totals = all:key_by("k"):apply("totals", counter)
totals:to("results", sw.to.file("results.jsonl"))
totals:output("seen"):to("seen", sw.to.file("seen.jsonl"))
all:broadcast():filter("some", function(event) return event.i % 5 == 0 end, { parallelism = 2 })
  :partition(function(event, n) return event.k % n end):map("spread", function(event) return event end)
  :to("spread rows", sw.to.file("spread.jsonl"))
all:global():map("chance", function(event) return { i = event.i, chance = math.random(1000000) } end)
  :to("chances", sw.to.file("chances.jsonl"))
job:dead_letters():map("letter", function(letter) return { i = letter.event.i, component = letter.component } end)
  :to("letters", sw.to.file("letters.jsonl"))
return job
]]

local FILES = { "results", "seen", "spread", "letters" } -- the same in every schedule, but for their order

local function sorted(text)
  local lines = {}
  for line in text:gmatch("[^\n]*\n") do lines[#lines + 1] = line end
  table.sort(lines)
  return table.concat(lines)
end

--- A folder with the job in it.
---@return swlua.spec.Folder
function M.folder()
  local dir = support.folder()
  dir:write("schedules.lua", JOB)
  return dir
end

--- Runs the job; gives all it wrote as one text, and what is the same in every schedule, sorted.
---@param dir swlua.spec.Folder
---@param arguments string
---@return string exact, string sorted
function M.run(dir, arguments)
  local result = dir:swlua("schedules.lua --log-level error " .. arguments)
  assert(result.status == 0 and result.err == "", result.err)
  local exact, multiset = {}, {}
  for i, name in ipairs(FILES) do
    exact[i] = dir:read(name .. ".jsonl")
    multiset[i] = sorted(exact[i])
  end
  exact[#exact + 1] = dir:read("chances.jsonl")
  return table.concat(exact, "\n"), table.concat(multiset, "\n")
end

return M
