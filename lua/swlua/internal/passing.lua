--- Which string fields of a record does a function only hand on, or only compare with constants?
--
-- Making a Lua string of a field means interning, and later collecting, it: 60 to 80 ns that a renaming map or a
-- filter by type need not pay. The bytecode of the function says so: a field whose every reading is followed at once
-- by storing it in the new table that the function returns, or by comparing it with a string constant, and whose
-- value can be seen nowhere else, is *passive*. Reading a passive field gives the constant it equals, else a
-- stand-in; the writer of the result copies the bytes of the field for which it finds the stand-in.
--
-- Whatever is not understood makes the field active.
local bit = require("bit")
local has_util, util = pcall(require, "jit.util")
local has_vmdef, vmdef = pcall(require, "jit.vmdef") -- not there where LuaJIT's own Lua files are not installed

local band, rshift = bit.band, bit.rshift

local M = {}

--- Stands for a passive field's text. No text from outside is compared with it: only values that analysed code moves.
M.STAND_IN = "\0swlua: the text of a passive field\0"

-- Operand modes of LuaJIT's bytecode (lj_bc.h).
local DST, BASE, VAR, RBASE = 1, 2, 3, 4
local MODE_STR, MODE_JUMP = 10, 13
-- Closures may see slots; loops that have been compiled already have lost their jump targets.
local REFUSED = { FNEW = true, UCLO = true, VARG = true, KNIL = true, JFORI = true, JFORL = true, JITERL = true,
  JLOOP = true, IFORL = true, IITERL = true, ILOOP = true }
local NO_READ = { JMP = true, LOOP = true, RET0 = true }

local function decode(fn, pc)
  local ins, mode = util.funcbc(fn, pc)
  if not ins then return nil end
  local at = 6 * band(ins, 0xff)
  local op = {
    name = vmdef.bcnames:sub(at + 1, at + 6):gsub("%s+$", ""), a = band(rshift(ins, 8), 0xff), d = rshift(ins, 16),
    ma = band(mode, 7), mb = band(rshift(mode, 3), 15), mc = band(rshift(mode, 7), 15),
  }
  if op.mb ~= 0 then op.b, op.d = rshift(ins, 24), band(op.d, 0xff) end
  if op.mc == MODE_STR then op.text = util.funck(fn, -op.d - 1) end
  if op.mc == MODE_JUMP then op.target = pc + op.d - 0x7fff end
  return op
end

--- Does this instruction read slot s? Instructions on a range of slots read all from its base on.
local function reads(op, s)
  if NO_READ[op.name] then return false end
  if op.name == "RET1" then return op.a == s end
  if op.ma == VAR and op.a == s then return true end
  if op.mb == VAR and op.b == s then return true end
  if op.mc == VAR and op.d == s then return true end
  return (op.ma == BASE or op.ma == RBASE) and s >= op.a or (op.mb == BASE or op.mb == RBASE) and s >= op.b
    or op.mc == RBASE and s >= op.d
end

local function writes(op, s)
  return op.ma == DST and op.a == s
end

local function load_code(fn)
  local code = {}
  for pc = 1, 10000 do
    local op = decode(fn, pc)
    if not op then break end
    if REFUSED[op.name] then return nil end
    code[pc] = op
  end
  return code
end

--- The event (slot 0) is only read by field and never replaced.
local function keeps_event_private(code)
  for _, op in ipairs(code) do
    if writes(op, 0) then return false end
    if reads(op, 0) and not (op.name == "TGETS" and op.b == 0 and op.a ~= 0) then return false end
  end
  return true
end

--- The instructions that may read slot s as instruction `from` wrote it: follows every path up to the next write.
local function readers(code, from, s)
  local seen, found, open = {}, {}, { from + 1 }
  while #open > 0 do
    local pc = table.remove(open)
    local op = code[pc]
    if op and not seen[pc] then
      seen[pc] = true
      if reads(op, s) then found[pc] = true end
      local is_return = op.name:sub(1, 3) == "RET"
      if not writes(op, s) and not is_return then
        if op.target then open[#open + 1] = op.target end
        if op.name ~= "JMP" then open[#open + 1] = pc + 1 end
        if op.name:sub(1, 2) == "IS" then open[#open + 1] = pc + 2 end -- A comparison skips the jump behind it, or not.
      end
    end
  end
  return found
end

--- Is what instruction `from` writes to slot s read only by the next instruction?
local function is_read_at_once(code, from, s)
  for pc in pairs(readers(code, from, s)) do
    if pc ~= from + 1 then return false end
  end
  return true
end

--- Does slot s, where instruction `at` stores into it, hold nothing but a new table that is filled and returned?
local function is_result_table(code, at, s)
  for pc, op in ipairs(code) do
    local found = writes(op, s) and readers(code, pc, s)
    if found and found[at] then
      if op.name ~= "TDUP" and op.name ~= "TNEW" then return false end
      for reader in pairs(found) do
        local use = code[reader]
        local is_filling = use.name == "TSETS" and use.b == s and use.a ~= s
        if not is_filling and not (use.name == "RET1" and use.a == s) then return false end
      end
    end
  end
  return true
end

local function note_comparison(found, field, text)
  local list = found.compared[field] or {}
  found.compared[field] = list
  for _, known in ipairs(list) do
    if known == text then return end
  end
  list[#list + 1] = text
end

--- Looks at one reading of a string field: returns false where its value may go anywhere else.
local function look_at_reading(code, pc, found)
  local get, use = code[pc], code[pc + 1]
  local slot = get.a
  if not use or not is_read_at_once(code, pc, slot) then return false end
  if (use.name == "ISEQS" or use.name == "ISNES") and use.a == slot then
    note_comparison(found, get.text, use.text)
    return true
  end
  if use.name ~= "TSETS" or use.a ~= slot or use.b == slot then return false end
  if not is_result_table(code, pc + 1, use.b) then return false end
  local other = found.passed[use.text]
  if other and other ~= get.text then return false end
  found.passed[use.text] = get.text
  return true
end

--- Passive fields of `fn`, a function of one event, among `is_string` (a set of field names).
---@return { passed: table<string, string>, compared: table<string, string[]>, passive: table<string, boolean> }? result
--- passed: field of the result -> field of the event; nil where there is nothing to gain
function M.analyse(fn, is_string)
  if not (has_util and has_vmdef) then return nil end
  local info = util.funcinfo(fn)
  if not info.params or info.params < 1 or info.isvararg then return nil end
  local code = load_code(fn)
  if not code or not keeps_event_private(code) then return nil end
  local found, active, passive = { passed = {}, compared = {} }, {}, {}
  for pc, op in ipairs(code) do
    if op.name == "TGETS" and op.b == 0 and is_string[op.text] then
      if look_at_reading(code, pc, found) then passive[op.text] = true else active[op.text] = true end
    end
  end
  for name in pairs(active) do passive[name] = nil end
  for out, name in pairs(found.passed) do
    if not passive[name] then found.passed[out] = nil end
  end
  found.passive = passive
  return next(passive) and found or nil
end

return M
