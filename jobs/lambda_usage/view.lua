--- Lambda usage, the view: one row a minute, the batch's as far as the batch reaches, the stream's beyond.
---
---     batch.jsonl ──┐
---                   ├──► view ──► standard output
---     stream.jsonl ─┘
---
---     swlua run jobs/lambda_usage/view.lua --set batch=batch.jsonl --set stream=stream.jsonl
---
--- Output: {"from":"batch","frauds":2,"minute":1704096000000,"transactions":31}, in order of minutes.
local sw = require "swlua"

local END_OF_INPUT = 2 ^ 52 -- A timer for then fires when all input was read.

local job = sw.job("lambda_usage_view")

local function rows(part)
  return job:source(part, sw.from.file(sw.args[part] or part .. ".jsonl"), { time = "minute" })
end

local merge = {
  apply = function(_, row, out, state)
    state.batch, state.stream = state.batch or {}, state.stream or {}
    local kept = { minute = row.minute, transactions = row.transactions, frauds = row.frauds }
    state[out.from][tostring(row.minute)] = kept
    if out.from == "batch" then state.reach = math.max(state.reach or 0, row.minute) end
    out:timer(END_OF_INPUT, "end")
  end,
  on_timer = function(_, _, out, state)
    local merged = {}
    for _, row in sw.pairs(state.batch) do
      row.from = "batch"
      merged[#merged + 1] = row
    end
    for _, row in sw.pairs(state.stream) do
      row.from = "stream"
      if row.minute > (state.reach or -1) then merged[#merged + 1] = row end
    end
    table.sort(merged, function(a, b) return a.minute < b.minute end)
    for _, row in ipairs(merged) do out:emit(row, row.minute) end
  end,
}

sw.union(rows("batch"), rows("stream"))
  :key_by(function() return "all" end)
  :apply("view", merge, { parallelism = 1 })
  :print()

return job
