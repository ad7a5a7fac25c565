--- Fraud detection: flags card transactions that look like theft, as they come.
---
---                       ┌─► average-ticket ────┐
---     transactions ─────┼─► proximity ─────────┼─► score-aggregator ──► decisions
---                by card└─► transaction-count ─┘ by transaction id
---
---     swlua run jobs/fraud.lua                                    the sample beside this script
---     swlua run jobs/fraud.lua --set input=FILE                   a file of JSON lines
---     swlua run jobs/fraud.lua --set input=- < FILE               standard input
---     swlua run jobs/fraud.lua --set log=fraud                    every decision goes to the event log "fraud" as well
---
--- Input: {"id":1,"ts":1704096000000,"card":"c1","amount":12.5,"merchant":"grocer","lat":52.52,"lon":13.41}; where a
--- transaction is known to be a fraud, "fraud":true. Labels only travel along: no analyzer reads them.
--- Output: flagged transactions as JSON lines, and at the end of labelled input precision and recall.
local sw = require "swlua"
local decisions = require "fraud.decisions"

local here = debug.getinfo(1, "S").source:match("^@(.*)/") or "."
local input = sw.args.input or here .. "/samples/transactions.jsonl"

local transaction = sw.record{
  id = "i64", ts = "time", card = "string", amount = "f64", lat = "f64", lon = "f64", fraud = "bool",
}
local partial_score = sw.record{
  id = "i64", ts = "time", card = "string", amount = "f64", fraud = "bool", score = "f64", reason = "string",
}

-- An alarm is worth something now or never, so losing an event in a crash is cheaper than waiting for checkpoints.
local job = sw.job("fraud", { delivery = "at-most-once" })

local transactions = job:source("transactions",
  input == "-" and sw.from.stdin({ format = "jsonl" }) or sw.from.file(input, { format = "jsonl" }),
  { schema = transaction, time = "ts", max_delay = "2s" })

local by_card = transactions:key_by("card")

--- One analyzer as a component: a partial score for every transaction.
local function analyze(name, analyzer)
  return by_card:apply(name, function(event, out, state)
    local score, reason = analyzer.score(event, state)
    out:emit({
      id = event.id, ts = event.ts, card = event.card, amount = event.amount, fraud = event.fraud, score = score,
      reason = reason,
    })
  end, { schema = partial_score, state = analyzer.state and sw.record(analyzer.state) })
end

local scores = sw.union(
  analyze("average-ticket", require "fraud.average_ticket"),
  analyze("proximity", require "fraud.proximity"),
  analyze("transaction-count", require "fraud.transaction_count"))

local decided = scores:key_by("id"):apply("score-aggregator", require "fraud.score_aggregator")

decided:to("decisions", decisions.sink(io.stdout), { parallelism = 1, on_error = "fail" })

-- For those who count: jobs/system_usage.lua and jobs/lambda_usage read it.
if sw.args.log then decided:to("log", sw.to.log(sw.args.log)) end

return job
