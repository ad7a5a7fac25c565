-- swlua state: what a component keeps, in a checkpoint and in a running job.
local json = require("cjson")
local support = require("spec.e2e.support")

-- Counts by key, with a timer for each; `total` counts all; `last` keeps the last row in a record.
local PARTS = [[
local usage = {
  version = tonumber(sw.args.version or 2),
  apply = function(_, event, out, state)
    if event.gone then
      for k in sw.pairs(sw.table(state)) do state[k] = nil end
      return
    end
    state.n = (state.n or 0) + 1
    if event.big then
      state.big, state.tenth, state.list = 9007199254740993LL, 0.1, { 1, sw.null, { a = sw.array() } }
      state.bytes = "\255\0x"
    end
    if event.due then out:timer(event.due, "flush") end
    out:emit({ k = event.k, n = state.n })
  end,
  on_timer = function() end,
}
local total = {
  setup_instance = function(self, _, state) self.n = state and state.n or 0 end,
  apply = function(self, event, out) self.n = self.n + 1 out:emit(event) end,
  get_state = function(self) return { n = self.n } end,
}
local function behind(events)
  return events:apply("total", total)
    :key_by("k"):apply("usage", usage, { parallelism = 2 })
    :key_by("k"):apply("last", function(event, out, state)
      state.n, state.text = event.n, "n" .. event.n
      out:emit(event)
    end, { state = sw.record{ n = "i64", text = "string" } })
    :to("out", sw.to.file("out.jsonl"))
end
]]

local FILE = 'local sw = require "swlua" local job = sw.job("usage", { delivery = "exactly-once" })\n' .. PARTS
  .. 'behind(job:source("in", sw.from.file("in.jsonl"), { time = function(e) return e.time or 1 end }))\nreturn job\n'

-- Runs until its input ends; a key "slow" keeps `usage` busy until the file "go" is there.
local LIVE = 'local sw = require "swlua" local job = sw.job("live", { watchdog = "1h" })\n' .. PARTS
  .. 'behind(job:source("in", sw.from.stdin()):map("wait", function(event)\n'
  .. '  while event.k == "slow" and not io.open("go") do end\n  return event\nend))\nreturn job\n'

-- Starts LIVE with its input from descriptor 3, and goes on when it has written what the lines of in.jsonl make.
local START = [[
mkfifo in; "$swlua" live.lua <in >/dev/null 2>err & job=$!
exec 3>in; cat in.jsonl >&3
alive() { kill -0 $job 2>/dev/null; }
until [ "$(wc -l <out.jsonl)" = %d ] && [ -S state/swlua/live/control.sock ] || ! alive; do :; done
%s
touch go; exec 3>&-; wait $job]]

local EVENTS = {
  '{"k":"c1","big":true,"due":60000}', '{"k":"c2"}', '{"k":"c2"}', '{"k":42,"due":70000}', '{"k":1.5}', '{"n":1}',
  '{"k":"a longer key"}', '{"k":true}', '{"k":"4"}',
}
local KEYS = '42 "4" "c1" "c2" "a longer key" null true 1.5' -- in order

describe("swlua state", function()
  local dir
  before_each(function()
    dir = support.folder()
    dir:write("usage.lua", FILE)
    dir:write("live.lua", LIVE)
    dir:write("in.jsonl", table.concat(EVENTS, "\n") .. "\n")
  end)
  after_each(function() dir:remove() end)

  local function has(text, part)
    assert.is_truthy(text:find(part, 1, true), ("no %q in:\n%s"):format(part, text))
  end

  local function keys_of(text)
    local keys = {}
    for line in text:gmatch("[^\n]+") do keys[#keys + 1] = line:match('^{"key":(.-),"state"') end
    return table.concat(keys, " ")
  end

  --- Runs the job over what has come since; returns the id of the checkpoint it makes.
  local function run(lines, options)
    for _, line in ipairs(lines or {}) do
      dir:write("more", line .. "\n")
      dir:shell("cat more >>in.jsonl")
    end
    local result = dir:swlua("usage.lua --from latest " .. (options or ""))
    assert.equal(0, result.status, result.err)
    local last
    for line in dir:swlua("checkpoints usage --json").out:gmatch("[^\n]+") do last = json.decode(line).id end
    return ("%d"):format(last)
  end

  local function live(script)
    local result = dir:shell(START:format(#EVENTS, script))
    assert.equal(0, result.status, result.err .. (dir:read("err") or ""))
    return result
  end

  describe("scan of a checkpoint", function()
    it("has a line of JSON for each key, in the order of their bytes", function()
      run()
      local result = dir:swlua("state scan usage usage")
      assert.equal(0, result.status)
      assert.equal(KEYS, keys_of(result.out))
      has(result.out, '{"key":"c2","state":{"n":2},"version":2,"changed_ms":null}\n')
      assert.is_truthy(result.err:find("^swlua state: of checkpoint %d+, taken "), result.err)
    end)

    it("prints numbers as they are, and bytes so that they can be read", function()
      run()
      has(dir:swlua("state scan usage usage").out, '{"key":"c1","state":{"big":9007199254740993,'
        .. '"bytes":"\239\191\189\\u0000x","list":[1,null,{"a":[]}],"n":1,"tenth":0.1},"version":2,"changed_ms":null,'
        .. '"exact":false}\n')
    end)

    it("prints records by their fields", function()
      run()
      has(dir:swlua("state scan usage last").out, '{"key":"c2","state":{"n":2,"text":"n2"},"version":0,')
    end)

    it("ends at the limit, and shares the keys out over the instances", function()
      run()
      assert.equal('42 "4" "c1"', keys_of(dir:swlua("state scan usage usage --limit 3").out))
      local all = {}
      for i = 0, 1 do
        local out = dir:swlua("state scan usage usage --instance " .. i).out
        assert.is_true(#out > 0)
        for line in out:gmatch("[^\n]+\n") do all[#all + 1] = line end
      end
      assert.equal(#EVENTS - 1, #all)
      assert.equal(1, dir:swlua("state scan usage usage --instance 2").status)
    end)

    it("reads a savepoint, and an older checkpoint, by name and id", function()
      local first = run()
      local second = run({ '{"k":"c9"}' })
      assert.equal(KEYS, keys_of(dir:swlua("state scan usage usage --at " .. first).out))
      has(dir:swlua("state scan usage usage --at " .. second).out, '"c9"')
      dir:shell(('mkdir -p s && cp state/swlua/usage/checkpoints/%s.full.mdb s/kept.mdb'):format(first))
      assert.equal(KEYS, keys_of(dir:swlua("state scan usage usage --at s/kept.mdb").out))
    end)

    it("says that a component has no keys", function()
      run()
      local result = dir:swlua("state scan usage total")
      assert.equal(0, result.status)
      assert.equal("", result.out)
      has(result.err, "total has no keys")
    end)
  end)

  describe("get of a checkpoint", function()
    it("finds a key of any type, written as JSON", function()
      run()
      for key, n in pairs({ ["'\"c2\"'"] = 2, ["c2"] = 2, ["42"] = 1, ["42.0"] = 1, ["'\"4\"'"] = 1, ["1.5"] = 1,
        ["null"] = 1, ["true"] = 1 }) do
        local result = dir:swlua("state get usage usage " .. key)
        assert.equal(0, result.status, key .. result.err)
        has(result.out, ('"state":{"n":%d}'):format(n))
      end
    end)

    it("finds a key of several fields", function()
      dir:write("usage.lua", (FILE:gsub('key_by%("k"%)', 'key_by({ "k", "n" })')))
      dir:write("in.jsonl", '{"k":"a","n":1}\n{"k":"a"}\n')
      run()
      has(dir:swlua([[state get usage usage '["a",1]']]).out, '{"key":["a",1],"state":{"n":1}')
      has(dir:swlua([[state get usage usage '["a",null]']]).out, '{"key":["a",null],"state":{"n":1}')
    end)

    it("says which key was perhaps meant", function()
      run()
      local result = dir:swlua("state get usage usage 4")
      assert.equal(1, result.status)
      has(result.err, [[has no key 4; did you mean '"4"'?]])
      has(dir:swlua([[state get usage usage '"42"']]).err, [[has no key "42"; did you mean '42'?]])
      has(dir:swlua("state get usage usage c3").err, "has no key c3\n")
    end)

    it("says which component was perhaps meant", function()
      run()
      local result = dir:swlua("state get usage usge c1")
      assert.equal(1, result.status)
      has(result.err, 'has no component "usge"; did you mean "usage"?')
    end)

    it("refuses what can be no key", function()
      run()
      for _, key in ipairs({ "'[1'", "'{}'", "'[[1]]'", "'1,\"x\":2'", "'\"'" }) do
        assert.equal(key == "'1,\"x\":2'" and 1 or 2, dir:swlua("state get usage usage " .. key).status, key)
      end
    end)

    it("tells without a key what each instance keeps", function()
      run()
      has(dir:swlua("state get usage total").out, '{"instance":0,"state":{"n":9},"version":0}\n')
      local source = json.decode(dir:swlua("state get usage in").out)
      assert.equal(0, source.instance)
      assert.equal(true, source.ended)
      assert.is_table(source.position["in.jsonl"])
      local sink = json.decode(dir:swlua("state get usage out").out)
      assert.equal("file", sink.sinks[1].sink)
      assert.equal(dir.path .. "/out.jsonl", sink.sinks[1].value.path)
      local result = dir:swlua("state get usage usage --instance 1")
      assert.is_truthy(result.out:find('^{"instance":1,"ended":true,"watermark":%w+}\n$'), result.out)
    end)
  end)

  describe("diff", function()
    it("tells what came, went and changed, and ends with 1", function()
      local first = run()
      local second = run({ '{"k":"c9"}', '{"k":"c2"}', '{"k":42,"gone":true}' })
      local result = dir:swlua(("state diff usage usage %s..%s"):format(first, second))
      assert.equal(1, result.status, result.err)
      assert.equal('{"key":42,"change":"removed","old":{"n":1}}\n'
        .. '{"key":"c2","change":"changed","old":{"n":2},"new":{"n":3}}\n'
        .. '{"key":"c9","change":"added","new":{"n":1}}\n', result.out)
      assert.equal(result.out, dir:swlua(("state diff usage usage --at %s --to %s"):format(first, second)).out)
      assert.equal(result.out, dir:swlua("state diff usage usage --at " .. first).out)
    end)

    it("finds no difference between a checkpoint and itself", function()
      local first = run()
      local result = dir:swlua(("state diff usage usage %s..%s"):format(first, first))
      assert.equal(0, result.status)
      assert.equal("", result.out)
    end)

    it("compares what instances keep", function()
      local first = run()
      run({ '{"k":"c9"}' })
      local result = dir:swlua(("state diff usage total %s..latest"):format(first))
      assert.equal(1, result.status)
      assert.equal('{"instance":0,"change":"changed","old":{"n":9},"new":{"n":10}}\n', result.out)
    end)

    it("says what cannot be compared with 4", function()
      local first = run()
      assert.equal(4, dir:swlua(("state diff usage usage %s..99"):format(first)).status)
      assert.equal(4, dir:swlua(("state diff usage usge %s..latest"):format(first)).status)
      assert.equal(2, dir:swlua("state diff usage usage").status)
      assert.equal(2, dir:swlua("state diff usage usage 1").status)
    end)
  end)

  it("of a damaged checkpoint falls back to an older one, and says so; by id it ends with 4", function()
    local first = run()
    local second = run({ '{"k":"c9"}' })
    dir:shell(("truncate -s 6000 state/swlua/usage/checkpoints/%s.mdb"):format(second))
    local result = dir:swlua("state scan usage usage")
    assert.equal(0, result.status)
    assert.equal(KEYS, keys_of(result.out))
    has(result.err, ("warning: checkpoint %s cannot be used"):format(second))
    has(result.err, "of checkpoint " .. first)
    assert.equal(4, dir:swlua("state scan usage usage --at " .. second).status)
  end)

  it("stops when nobody reads any more", function()
    local lines = {}
    for i = 1, 20000 do lines[i] = ('{"k":"key %d"}'):format(i) end
    dir:write("in.jsonl", table.concat(lines, "\n") .. "\n")
    run()
    local result = dir:shell('"$swlua" state scan usage usage 2>/dev/null | head -n 1')
    assert.equal(1, select(2, result.out:gsub("\n", "")))
  end)

  describe("of a running job", function()
    it("prints the keys of all its instances in order", function()
      local result = live('"$swlua" state scan live usage; "$swlua" state scan live usage --limit 3 >limited')
      assert.equal(KEYS, keys_of(result.out))
      has(result.out, '{"key":"c1","state":{"big":9007199254740993,"bytes":"\239\191\189\\u0000x",'
        .. '"list":[1,null,{"a":[]}],"n":1,"tenth":0.1},"version":2,"changed_ms":null,"exact":false}\n')
      assert.equal('42 "4" "c1"', keys_of(dir:read("limited")))
    end)

    it("prints page after page, every key once", function()
      local lines = {}
      for i = 1, 5000 do lines[i] = ('{"k":%d}'):format(i) end
      dir:write("in.jsonl", table.concat(lines, "\n") .. "\n")
      local result = dir:shell(START:format(5000, [["$swlua" state scan live usage
        "$swlua" state scan live last >last]]))
      local keys = {}
      for i = 1, 5000 do keys[i] = tostring(i) end
      assert.is_true(table.concat(keys, " ") == keys_of(result.out))
      assert.is_true(table.concat(keys, " ") == keys_of(dir:read("last")))
    end)

    it("prints one key, and what instances keep", function()
      local result = live([[
        "$swlua" state get live usage c2; "$swlua" state get live usage null; "$swlua" state get live last c2
        "$swlua" state get live total; "$swlua" state get state/swlua/live usage --instance 1]])
      assert.equal('{"key":"c2","state":{"n":2},"version":2,"changed_ms":null}\n'
        .. '{"key":null,"state":{"n":1},"version":2,"changed_ms":null}\n'
        .. '{"key":"c2","state":{"n":2,"text":"n2"},"version":0,"changed_ms":null}\n'
        .. '{"instance":0,"state":{"n":9},"version":0}\n', result.out:match("^.-\n.-\n.-\n.-\n"))
      assert.is_truthy(result.out:find('\n{"instance":1,"ended":false,"watermark":%d+}\n$'), result.out)
    end)

    it("says what it has not, and what was perhaps meant", function()
      live([[
        "$swlua" state get live usage 4 2>key; "$swlua" state get live usge 4 2>component
        "$swlua" state get live total c1 2>unkeyed; "$swlua" state scan live usage --instance 2 2>instance]])
      has(dir:read("key"), [[has no key 4; did you mean '"4"'?]])
      has(dir:read("component"), 'no component "usge"; did you mean "usage"?')
      has(dir:read("unkeyed"), "total#0: it keeps no state by key")
      has(dir:read("instance"), "usage has 2 instances, numbered from 0")
    end)

    it("says that a task which is in a call does not answer", function()
      live([[echo '{"k":"slow"}' >&3; "$swlua" state get live total 2>busy; echo $? >status
        touch go; for try in 1 2 3; do "$swlua" state get live usage slow >slow && break; done]])
      has(dir:read("busy"), "total#0 has not answered within 3 s")
      assert.equal("1\n", dir:read("status"))
      has(dir:read("slow"), '{"key":"slow","state":{"n":1}')
    end)

    it("with --at reads its checkpoint", function()
      local result = live('"$swlua" state scan live usage --at latest 2>&1; true')
      has(result.out, "holds no checkpoints")
    end)
  end)

  describe("scan --timers", function()
    it("has the timers of a checkpoint, and get those of a key", function()
      dir:write("live.lua", (LIVE:gsub('watchdog = "1h"', 'delivery = "at-least-once"')
        :gsub("sw.from.stdin%(%)", "sw.from.stdin(), { journal = true, time = \"t\" }")))
      dir:write("in.jsonl", '{"k":"c1","due":60000,"t":1}\n{"k":42,"due":70000,"t":1}\n')
      local result = dir:shell(START:format(2, [["$swlua" savepoint live kept >/dev/null
        "$swlua" state scan live usage --timers --at kept; "$swlua" state get live usage 42 --at kept]]))
      assert.equal('{"key":42,"time":70000,"name":"flush","clock":"event"}\n'
        .. '{"key":"c1","time":60000,"name":"flush","clock":"event"}\n'
        .. '{"key":42,"state":{"n":1},"version":2,"changed_ms":null,'
        .. '"timers":[{"key":42,"time":70000,"name":"flush","clock":"event"}]}\n', result.out)
    end)
  end)
end)
