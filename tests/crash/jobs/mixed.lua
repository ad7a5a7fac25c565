-- A source that ends long before the other, each with sinks of its own: two files, and a sink in Lua that shows what is
-- committed as one file a checkpoint.
local sw = require("swlua")

local job = sw.job("mixed", {
  delivery = "exactly-once", parallelism = 1, checkpoint = { interval = "1ms" }, restart = { attempts = 0 },
})

local function write(path, lines)
  local file = assert(io.open(path .. ".tmp", "wb"))
  file:write(table.concat(lines))
  file:close()
  assert(os.rename(path .. ".tmp", path))
end

local folders = {
  setup_instance = function(self) self.lines = {} end,
  apply = function(self, event) self.lines[#self.lines + 1] = ("custom %d\n"):format(event.i) end,
  prepare = function(self)
    local lines = self.lines
    self.lines = {}
    return { lines = lines }
  end,
  commit = function(_, id, value)
    if #value.lines > 0 then write(("custom.%09d"):format(id), value.lines) end
  end,
}

job:source("short", sw.from.file("input-1.jsonl", { format = "lines" }), { rate = sw.args.rate and sw.args.rate * 10 })
  :to("lines", sw.to.file("short.jsonl"))
local long = job:source("long", sw.from.file("input-2.jsonl"), { rate = sw.args.rate })
long:to("folders", folders)
long:key_by("k"):map("keys", function(event) return { k = event.k, i = event.i } end)
  :to("keys-out", sw.to.file("output.jsonl"))
return job
