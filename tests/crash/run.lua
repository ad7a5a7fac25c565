--- Runs the crash tests: luajit tests/crash/run.lua [--full] [PART...]. The last line: "N passed, M failed".
local damage = require("tests.crash.damage")
local kills = require("tests.crash.kills")
local power = require("tests.crash.power")

local is_full, wanted = false, {}
for _, argument in ipairs(arg) do
  if argument == "--full" then is_full = true else wanted[argument] = true end
end

local seed = tonumber(os.getenv("SEED")) or os.time()
math.randomseed(seed)

local t = { passed = 0, failed = 0 }

--- Notes a result; `problem` is nil when all is well.
function t:check(name, problem)
  if problem == nil then
    self.passed = self.passed + 1
    return
  end
  self.failed = self.failed + 1
  print(("failed: %s: %s"):format(name, problem))
end

--- A part of the tests; an error in it is one failure.
local function part(name, fn, ...)
  if next(wanted) and not wanted[name] then return end
  local ok, result = xpcall(fn, debug.traceback, t, ...)
  if not ok then t:check(name, result) end
  return ok and result or nil
end

part("random", kills.at_random_times, is_full and 300 or 20)
part("engine", kills.below_the_supervisor, is_full and 60 or 6)
part("sinks", kills.several_sinks, is_full and 100 or 10)
part("at-least-once", kills.at_least_once, is_full and 100 or 10)
local missed = part("points", kills.at_points, is_full and { 2, 3, 7, 20 } or {})
if missed then print("points not passed: " .. table.concat(missed, " ")) end

local recorder = os.getenv("SWLUA_RECORDER") or io.popen("pwd"):read("*l") .. "/build/debug/tests/crash_record.so"
part("power", power.losses, recorder, is_full and 2000 or 30)
part("unsynced", power.without_syncs, recorder, is_full and 100 or 12)

part("damage", damage.newest, is_full and 100 or 2)
part("damage", damage.all)
part("damage", damage.going_back)
part("damage", damage.rescaled)
part("damage", damage.changed)
part("full", damage.full_disk, recorder, is_full and 5 or 1)

if t.failed > 0 then print("seed " .. seed) end
print(("%d passed, %d failed"):format(t.passed, t.failed))
os.exit(t.failed == 0 and 0 or 1)
