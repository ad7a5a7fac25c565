--- The engine's C side as the Lua side sees it: one cdef per state, checked against the compiler's layout.
-- Threads: everything here belongs to one Lua state.
local ffi = require("ffi")
-- A chain of components is one long trace: LuaJIT's bounds are for smaller programs.
require("jit.opt").start("maxtrace=8000", "maxrecord=20000", "maxirconst=4000", "maxsnap=2000", "maxside=400",
  "sizemcode=256", "maxmcode=32768")
local core = require("swlua.core")

ffi.cdef(core.cdef)
local C = core.library and ffi.load(core.library) or ffi.C

local M = { C = C, ffi = ffi, core = core }

M.OK, M.FULL = 0, core.codes.SW_EFULL
M.EVENT, M.MALFORMED, M.WATERMARK, M.CONTROL, M.END, M.IDLE = 0, 1, 2, 3, 4, 5
M.ALTERED, M.PLAIN = 1, 2 -- flags of a row
M.RAN, M.WAIT_INPUT, M.WAIT_ROOM, M.WAIT_TIME, M.DONE, M.FAILED = 1, 2, 3, 4, 5, 6
M.WAIT_ACKS, M.WAIT_COMMIT = 7, 8

M.row_p = ffi.typeof("sw_row *")
M.bytes_p = ffi.typeof("uint8_t *")
M.task_p = ffi.typeof("sw_task *")
M.port_p = ffi.typeof("sw_port *")
M.sink_p = ffi.typeof("sw_sink *")
M.instance_p = ffi.typeof("sw_instance *")
M.input_p = ffi.typeof("sw_input *")
M.entry_p = ffi.typeof("sw_entry *")
M.scratch_p = ffi.typeof("sw_scratch *")
M.keyed_p = ffi.typeof("sw_keyed_instance *")
M.int64 = ffi.typeof("int64_t")
M.uint64 = ffi.typeof("uint64_t")
M.ROW_SIZE = ffi.sizeof("sw_row")
M.ENTRY_SIZE = ffi.sizeof("sw_entry")
M.TIME_MIN = ffi.new("int64_t", -9223372036854775807LL - 1)
M.TIME_MAX = ffi.new("int64_t", 9223372036854775807LL)

--- Stops the program when the two sides disagree about a struct.
local function check_layout()
  local expected = C.swffi_abi()
  local found = {
    ffi.sizeof("sw_row"), ffi.offsetof("sw_row", "hash"), ffi.offsetof("sw_row", "len"),
    ffi.offsetof("sw_row", "stamp"), ffi.offsetof("sw_row", "schema"), ffi.offsetof("sw_row", "kind"),
    ffi.sizeof("sw_batch"),
    ffi.sizeof("sw_entry"), ffi.offsetof("sw_entry", "changed_ms"), ffi.offsetof("sw_entry", "bytes"),
    ffi.offsetof("sw_entry", "live"), ffi.offsetof("sw_entry", "save_due"),
    ffi.sizeof("sw_keyed_recent"),
    ffi.offsetof("sw_instance", "fed_by"),
    ffi.sizeof("sw_ack_notice"), ffi.sizeof("sw_anchor"),
    ffi.offsetof("sw_input", "batch"), ffi.offsetof("sw_input", "idle"),
    ffi.offsetof("sw_task", "timer_ms"), ffi.offsetof("sw_task", "at"), ffi.offsetof("sw_task", "number"),
    ffi.offsetof("sw_task", "is_starved"), ffi.offsetof("sw_task", "asked"),
    ffi.offsetof("sw_task", "rows"), ffi.offsetof("sw_task", "err"),
  }
  for i, value in ipairs(found) do
    if value ~= expected[i - 1] then
      error(("swlua: layout %d of ffi.h is %d in Lua and %d in C"):format(i, value, expected[i - 1]))
    end
  end
end
check_layout()

--- Events that came to an instance (sw_instance_in of run/instance.h).
function M.events_in(instance)
  return tonumber(instance.fed_by ~= nil and instance.fed_by.n_out or instance.n_in)
end

--- A growable piece of memory outside the Lua heap. Keep `anchor` as long as the pointer.
---@return ffi.cdata* scratch, userdata anchor
function M.scratch()
  local anchor, address = core.scratch_new()
  return ffi.cast(M.scratch_p, address), anchor
end

--- Makes room for `size` bytes in a scratch; its data may move.
function M.grow(scratch, size)
  local rc = C.swffi_scratch_grow(scratch, size)
  if rc ~= 0 then
    error(("an event of %d bytes is too large"):format(size), 0)
  end
end

return M
