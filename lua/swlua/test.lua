--- Tests of jobs: the job runs under the simulating scheduler in the test's own Lua state, with its sources and sinks
-- replaced, a virtual clock that starts at 0, and everything random seeded.
--
--     local t = sw.test("jobs/fraud.lua")
--     t:push("transactions", { card = "c1", amount = 6000, ts = 1000 })
--     t:advance_watermark("5m")
--     assert.equal(1, #t:results("alerts"))
--
-- What production leaves undefined is an error here: changing an event after emitting it, state that cannot be saved,
-- fields that a record lacks.
local check = require("swlua.check")
local core = require("swlua.core")
local engine = require("swlua.internal.engine")
local events_in = require("swlua.internal.ffi").events_in
local graph = require("swlua.internal.graph")
local jobs = require("swlua.job")
local order = require("swlua.internal.order")
local values = require("swlua.values")

---@class swlua.Test
local Test = {}
Test.__index = Test

local M = {}

local REPLAYS_MAX = 100 -- timeouts that finish() waits through

-- Replacing what is outside
-- ---------------------------------------------------------------------------------------------

--- A source reading lines does not even decode fields that its schema lacks; a pushed event has them taken out.
local function projected(event, schema)
  if not schema then return values.copy(event) end
  local out = {}
  for _, field in ipairs(schema.fields) do out[field.name] = event[field.name] end
  return out
end

--- A source that gives what was pushed, then waits. After a crash it gives again what came behind the checkpoint,
-- where the job has a guarantee.
local function pushed_source(queue, is_replayed)
  return {
    setup_instance = function(self, _, state)
      self.next = is_replayed and (state and state.next or 1) or #queue + 1
    end,
    get_events = function(self, out)
      local item = queue[self.next]
      if item == nil then return "wait" end
      self.next = self.next + 1
      if item.watermark then return out:watermark(item.watermark) end
      if item.output then return out:emit_to(item.output, item.event, item.time) end
      out:emit(item.event, item.time)
    end,
    get_state = function(self) return { next = self.next } end,
  }
end

local function capturing_sink(list)
  return {
    apply = function(_, event)
      list[#list + 1] = values.table(event)
    end,
  }
end

--- A copy of the job's list of components with sources and sinks replaced; the rest is the job's own.
local function replaced(job, test)
  local components, is_replayed = {}, job.settings.delivery ~= "at-most-once"
  for i, component in ipairs(job.components) do
    local copy = setmetatable({}, { __index = component })
    if component.kind == "source" then
      local queue = {}
      test.queues[component.name] = queue
      local of_job = component.operator or {}
      copy.connector, copy.operator = false, pushed_source(queue, is_replayed)
      copy.operator.ack, copy.operator.fail = of_job.ack, of_job.fail -- They are told what became of what was pushed.
      copy.options = setmetatable({ parallelism = 1, rate = false }, { __index = component.options })
    elseif component.kind == "sink" then
      local list = {}
      test.lists[component.name] = list
      copy.connector, copy.operator = false, capturing_sink(list)
    end
    components[i] = copy
  end
  return setmetatable({ components = components }, { __index = job })
end

-- Opening
-- -----------------------------------------------------------------------------------------------------------------

local function job_of(what, options)
  if jobs.is_job(what) then return what end
  if type(what) == "function" then return jobs.from_script(what(), "the function given to sw.test") end
  if type(what) ~= "string" then
    error("sw.test: expected a script's path, a function or a job, got " .. check.show(what), 3)
  end
  local file, problem = io.open(what, "rb")
  if not file then error("sw.test: " .. problem, 3) end
  local text = file:read("*a")
  file:close()
  return engine.build({ path = what, text = text, arguments = options.args or {} })
end

--- Starts an engine for the test's job: afresh, or from its last checkpoint.
local function start(test, from)
  local job, settings = test.job, test.job.settings
  engine.adopt(job)
  test.sim = core.sim_open(job.name, test.clock_ms, test.seed, settings.parallelism, settings.backpressure.queue,
    function(pointer) graph.declare(job, pointer) end, test.folder, from, settings.delivery,
    engine.ack_timeout(settings), settings.restart.attempts)
  math.randomseed(test.seed)
  local runtime = require("swlua.internal.runtime")
  test.tasks = runtime.start(test.sim:worker(), job, {
    strict = true,
    on_dead_letter = function(letter) test.letters[#test.letters + 1] = values.copy(letter) end,
  })
  test:settle()
end

--- Opens a test of a job: a script's path, a function that returns the job, or the job.
---@param what string|function|swlua.Job
---@param options? { seed: integer?, args: table<string, any>? } `args` is what the script sees as sw.args
---@return swlua.Test
function M.open(what, options)
  options = options or {}
  local test = setmetatable({ queues = {}, lists = {}, letters = {}, seed = options.seed or 1, clock_ms = 0,
    kept = {} }, Test)
  order.install()
  test.job = replaced(job_of(what, options), test)
  test.folder = core.make_temporary()
  local folder = test.folder
  test.guard = newproxy(true) -- Its collection removes the folder where nobody closes the test.
  getmetatable(test.guard).__gc = function() pcall(core.remove_tree, folder) end
  start(test, "none")
  return test
end

-- Driving
-- -----------------------------------------------------------------------------------------------------------------

--- Lets everything run that can run now. Called by all that follows.
function Test:settle()
  order.state.on = true
  local ok, err = pcall(self.sim.settle, self.sim)
  order.state.on = false
  if not ok then error(err, 0) end
end

local function wake_sources(test)
  for _, task in ipairs(test.tasks) do
    if task.head.component.kind == "source" then task.T.wake_ms = 0 end
  end
end

local function give(test, source, item)
  local queue = test.queues[source]
  if not queue then
    error(("sw.test: the job has no source %q (it has %s)"):format(tostring(source),
      table.concat(check.sorted_keys(test.queues), ", ")), 3)
  end
  queue[#queue + 1] = item
  wake_sources(test)
  test:settle()
end

--- Gives an event to a source. Its time is what the source's `time` says; `time` overrides that.
function Test:push(source, event, time)
  if type(event) ~= "table" then error("sw.test: push takes an event, got " .. check.show(event), 2) end
  local component = self.job._by_name[source]
  give(self, source, { event = projected(event, component and component.schema), time = time })
end

--- Sends an event to a named output of a source, such as "malformed". Its time is the clock's, unless given: it need
--- not have the field that the source's `time` names.
function Test:push_to(source, output, event, time)
  give(self, source, { event = values.copy(event), output = output, time = time or self:now() })
end

local function to_ms(what, name)
  if type(what) == "number" then return what end
  local ms, expected = check.rule.duration(what)
  if not ms then error(("sw.test: %s: expected %s, got %s"):format(name, expected, check.show(what)), 3) end
  return ms
end

--- Moves the clock on by a duration; what falls due on the way happens in order.
function Test:advance(duration)
  local target = self.sim:now() + to_ms(duration, "advance")
  while true do
    local deadline = self.sim:deadline()
    if not deadline or deadline > target then break end
    self.sim:set_time(deadline)
    self:settle()
  end
  self.sim:set_time(target)
  self:settle()
end

--- Moves the watermark of every source on: by a duration from where it stands (from 0 before any event), or to a time
-- in ms.
function Test:advance_watermark(to)
  for _, task in ipairs(self.tasks) do
    local x = task.head
    if x.component.kind == "source" then
      local now = math.max(0, tonumber(task.T.wm[0]))
      local target = type(to) == "number" and to or now + to_ms(to, "advance_watermark")
      give(self, x.name, { watermark = target })
    end
  end
end

--- Events of a source that are not acknowledged.
local function pending_of(x)
  if not x.has_acks or x.component.kind ~= "source" then return 0 end
  return require("swlua.internal.ffi").C.swffi_acks_pending(x.task)
end

--- Raises when events stay pending however often they are replayed.
local function check_drains(test, began)
  local timeout = engine.ack_timeout(test.job.settings)
  if timeout == 0 or test.sim:now() - began <= REPLAYS_MAX * timeout then return end
  for _, task in ipairs(test.tasks) do
    local pending = pending_of(task.head)
    if pending > 0 then
      error(("sw.test: the job does not end: %d events of %s stay pending"):format(pending, task.head.name), 3)
    end
  end
end

--- Ends the input of every source: timers fire, components close.
function Test:finish()
  local began = self.sim:now()
  self.sim:stop()
  self:settle()
  while not self.sim:is_done() do
    local deadline = self.sim:deadline()
    if not deadline then error("sw.test: the job does not end: nothing can run and nothing falls due", 2) end
    check_drains(self, began)
    self.sim:set_time(deadline)
    self:settle()
  end
end

--- The engine's clock, in ms.
function Test:now()
  return self.sim:now()
end

--- Frees the engine; not needed where the garbage collector may do it.
function Test:close()
  self.sim:close()
  core.remove_tree(self.folder)
end

-- Crashing
-- ----------------------------------------------------------------------------------------------------------------

--- Takes a checkpoint. Returns its id.
function Test:checkpoint()
  local id = self.sim:checkpoint()
  self.has_checkpoint = true
  for name, list in pairs(self.lists) do self.kept[name] = #list end
  return id
end

--- Ends the engine as a crash does: what no checkpoint holds is gone. Until restore() nothing else can be done.
function Test:crash()
  self.clock_ms = self.sim:now()
  self.sim:close()
  if self.job.settings.delivery ~= "exactly-once" then return end
  for name, list in pairs(self.lists) do -- Nobody has seen results that were not committed.
    for i = #list, (self.kept[name] or 0) + 1, -1 do list[i] = nil end
  end
end

--- Starts the engine again from the last checkpoint; afresh when there is none. Where the job has a guarantee, what was
-- pushed behind the checkpoint comes once more.
function Test:restore()
  start(self, self.has_checkpoint and "latest" or "none")
end

-- Looking
-- -----------------------------------------------------------------------------------------------------------------

--- What has reached a sink, in order: a list of tables. Later results are added to the same list.
function Test:results(sink)
  local list = self.lists[sink]
  if not list then
    error(("sw.test: the job has no sink %q (it has %s)"):format(tostring(sink),
      table.concat(check.sorted_keys(self.lists), ", ")), 2)
  end
  return list
end

--- Dead letters that no job:dead_letters() reads.
function Test:dead_letters()
  return self.letters
end

local function instances_of(test, name)
  local found = {}
  for _, task in ipairs(test.tasks) do
    for _, x in ipairs(task.order) do
      if x.name == name then found[#found + 1] = x end
    end
  end
  if #found == 0 then error(("sw.test: the job has no component %q"):format(tostring(name)), 3) end
  return found
end

local function state_of_key(instances, key)
  local inspect = require("swlua.internal.inspect")
  for _, x in ipairs(instances) do
    local state = inspect.keyed_state(x, key)
    if state ~= nil then return state end
  end
  return nil
end

--- The state of a component: of one key, or, without a key, what get_state of its instance returns (several
-- instances: a list).
function Test:state(component, key)
  local instances = instances_of(self, component)
  if key ~= nil then return state_of_key(instances, key) end
  local states = {}
  for i, x in ipairs(instances) do
    local get_state = x.component.operator and x.component.operator.get_state
    states[i] = get_state and values.copy(get_state(x.self)) or nil
  end
  return #instances == 1 and states[1] or states
end

--- Counters of a component, summed over its instances: in, out, errors, dead_letters, dropped, late, malformed, unread,
-- acked, replayed, pending.
function Test:counters(component)
  local sum = {}
  for _, x in ipairs(instances_of(self, component)) do
    local c = x.instance
    local one = { ["in"] = events_in(c), out = c.n_out, errors = c.errors, dead_letters = c.dead_letters,
      dropped = c.dropped, late = c.late, malformed = c.malformed, unread = c.unread,
      acked = c.acked, replayed = c.replayed, pending = pending_of(x) }
    for name, count in pairs(one) do sum[name] = (sum[name] or 0) + tonumber(count) end
  end
  return sum
end

return M
