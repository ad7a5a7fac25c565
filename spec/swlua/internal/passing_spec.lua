--- Which string fields a function leaves alone: decided from its bytecode, so the cases are functions.
local passing = require("swlua.internal.passing")

local STRINGS = { extra = true, type = true, channel = true }

--- The analysis as text: what is passed where, what is compared, sorted.
local function analysed(fn)
  local found = passing.analyse(fn, STRINGS)
  if not found then return "nothing" end
  local out = {}
  for result, field in pairs(found.passed) do out[#out + 1] = result .. "<-" .. field end
  for field, texts in pairs(found.compared) do
    if found.passive[field] then out[#out + 1] = field .. "==" .. table.concat(texts, "|") end
  end
  table.sort(out)
  return table.concat(out, " ")
end

describe("a string field is passive where a function", function()
  it("only stores it into the table that it returns", function()
    assert.equal("name<-channel note<-extra", analysed(function(b)
      return { note = b.extra, name = b.channel, price = 0.908 * b.price }
    end))
  end)

  it("only compares it with constants", function()
    assert.equal("type==bid|person", analysed(function(e) return e.type == "bid" or e.type == "person" end))
  end)

  it("does so on some paths only", function()
    assert.equal("a<-extra", analysed(function(b)
      if b.price > 3 then return { a = b.extra } end
      return { n = 1 }
    end))
  end)
end)

describe("a string field is active where a function", function()
  local kept = {}
  for what, fn in pairs({
    ["keeps it in a local that is read twice"] = function(e)
      local t = e.type
      return t == "bid" or t == "ask"
    end,
    ["stores it elsewhere"] = function(e)
      kept.last = e.extra
      return { n = 1 }
    end,
    ["reads it back from the result"] = function(e)
      local r = { a = e.extra }
      if r.a == "x" then return nil end
      return r
    end,
    ["computes with it"] = function(e) return { a = e.extra .. "!" } end,
    ["takes its length"] = function(e) return { a = e.extra, n = #e.extra } end,
    ["hands the result to another function"] = function(e) return setmetatable({ a = e.extra }, kept) end,
    ["puts it into a table inside the result"] = function(e) return { inner = { a = e.extra } } end,
    ["hands the whole event on"] = function(e)
      rawset(kept, 1, e)
      return { a = e.extra }
    end,
    ["makes a closure"] = function(e) return { a = e.extra, f = function() return e end } end,
    ["reads it by a computed name"] = function(e)
      local name = kept.name
      return { a = e[name], b = e.extra }
    end,
  }) do
    it(what, function()
      local text = analysed(fn)
      assert.is_nil(text:find("a<-extra", 1, true), text)
      assert.is_nil(text:find("type==", 1, true), text)
    end)
  end

  it("compares it with what is no constant, while others may be passive", function()
    assert.equal("a<-extra", analysed(function(e)
      if e.channel == e.extra2 then return nil end
      return { a = e.extra }
    end))
  end)
end)

describe("a job with passive fields", function()
  local support = require("spec.e2e.support")

  it("gives the same rows as one that looks at every field", function()
    local dir = support.folder()
    dir:write("job.lua", [[
      local sw = require("swlua")
      local row = sw.record({ type = "string", id = "i64", extra = "string", note = "string" })
      local out = sw.record({ id = "i64", text = "string", other = "string" })
      local job = sw.job("passive")
      local function look(e) if sw.args.active then sw.table(e) end end
      job:source("in", sw.from.stdin(), { schema = row })
        :filter("bids", sw.args.active and function(e) look(e) return e.type == "bid" end
          or function(e) return e.type == "bid" end)
        :map("out", sw.args.active and function(e) look(e) return { id = e.id, text = e.extra, other = e.note } end
          or function(e) return { id = e.id, text = e.extra, other = e.note } end, { schema = out })
        :print()
      return job]])
    local lines = {}
    for i = 1, 3000 do
      local extra = i % 7 == 0 and "" or (',"extra":"%s"'):format(("é\\n"):rep(i % 50))
      lines[i] = ('{"type":"%s","id":%d%s,"note":%s}'):format(i % 3 == 0 and "ask" or "bid", i, extra,
        i % 5 == 0 and "null" or '"n' .. i .. '"')
    end
    dir:write("in.jsonl", table.concat(lines, "\n") .. "\n")
    local passive = dir:shell('"$swlua" run job.lua --progress off < in.jsonl')
    local active = dir:shell('"$swlua" run job.lua --progress off --set active=1 < in.jsonl')
    dir:remove()
    assert.equal(0, passive.status, passive.err)
    assert.equal(2000, select(2, passive.out:gsub("\n", "")))
    assert.equal(active.out, passive.out)
  end)
end)
