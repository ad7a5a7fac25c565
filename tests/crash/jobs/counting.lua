-- Lines to lines: counted by key in tables, by group in records, and passed through instances that count for
-- themselves. `shape` "line" leaves only the first of these, whose output has one order.
local sw = require("swlua")

local readers = sw.args.readers or 1
local job = sw.job("counting", {
  delivery = sw.args.delivery or "exactly-once", parallelism = readers,
  checkpoint = { interval = "1ms", retain = 3 }, restart = { attempts = sw.args.restarts or 0, delay = "1ms" },
})

local function relay()
  local operator = {
    setup_instance = function(self, _, state) self.n = state and state.n or 0 end,
    apply = function(self, event, out)
      self.n = self.n + 1
      out:emit({ from = "relay", i = event.i })
    end,
    get_state = function(self) return { n = self.n } end,
    rescale = function(states, count)
      local sum, list = 0, {}
      for _, state in pairs(states) do sum = sum + state.n end
      for i = 1, count do list[i] = { n = i == 1 and sum or 0 } end
      return list
    end,
  }
  if sw.args.rescale == "no" then operator.rescale = nil end
  return operator
end

local function count_table(event, out, state)
  state.n = (state.n or 0) + 1
  state.sum = (state.sum or 0) + event.i
  out:emit({ from = "tables", k = event.k, n = state.n, sum = sw.args.sums and state.sum or nil })
end

local function count_record(event, out, state)
  state.n = (state.n or 0) + 1
  out:emit({ from = "records", g = event.g, n = state.n })
end

--- Version 1 is that of the plain function; 2 and later keep the sum under another name.
local function tables()
  if not sw.args.version then return count_table end
  return {
    apply = function(_, event, out, state)
      state.n = (state.n or 0) + 1
      state.total = (state.total or 0) + event.i
      out:emit({ from = "tables", k = event.k, n = state.n, sum = sw.args.sums and state.total or nil })
    end,
    version = sw.args.version,
    upgrade = sw.args.upgrade ~= "no" and function(state)
      return { n = state.n, total = state.total or state.sum }
    end or nil,
  }
end

local input = job:source("input", sw.from.file(sw.args.input or "input-*.jsonl"), { rate = sw.args.rate })
local all = input:key_by("k"):apply("tables", tables())
if sw.args.shape ~= "line" then
  local relayed = input:shuffle():apply("relay", relay())
  local grouped = input:key_by("g"):apply("records", count_record, { state = sw.record({ n = "i64" }) })
  all = sw.union(all, relayed, grouped)
end
all:to("output", sw.to.file("output.jsonl"))
return job
