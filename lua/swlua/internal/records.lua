--- Records: the ctypes, readers and writers of schemas, made once per schema and Lua state.
-- A record is a pointer to a row (state/row.h) whose struct has one slot a field; `event.price` goes through __index
-- to a reader made for that field, which the JIT inlines. Field names never meet the struct's own names, which begin
-- with sw__.
local f = require("swlua.internal.ffi")
local passing = require("swlua.internal.passing")
local values = require("swlua.values")

local ffi, core = f.ffi, f.core
local plain_next = require("swlua.internal.each").next -- not the ordered one of internal/order.lua

local M = {}

--- Strings set on a record in place: its slot names an index here instead of bytes (length 0xffffffff). Cleared with
-- each batch.
local overflow = {}

ffi.cdef("int memcmp(const void *, const void *, size_t);")

local slot_types = { i64 = "int64_t sw__%d;", f64 = "double sw__%d;", bool = "int64_t sw__%d;",
  time = "int64_t sw__%d;", string = "uint32_t sw__%d, sw__%dl;" }

local function words(schema)
  return 2 * math.max(1, math.ceil(#schema.fields / 64))
end

--- The C text of the presence words and slots.
local function struct_body(schema, string_slot)
  local out = { ("int32_t sw__p[%d];"):format(words(schema)) }
  for i, field in ipairs(schema.fields) do
    local slot = field.type == "string" and string_slot or slot_types[field.type]
    out[#out + 1] = slot:format(i, i)
  end
  return table.concat(out, " ")
end

local function describe(v)
  if type(v) == "string" then return ("a string (%q)"):format(#v > 40 and v:sub(1, 40) .. "..." or v) end
  if type(v) == "number" then return ("a number (%.17g)"):format(v) end
  if type(v) == "cdata" then return tostring(ffi.typeof(v)) end
  return v == nil and "nil" or "a " .. type(v)
end

--- Raised for a value that a field cannot hold.
local function bad_value(name, expected, v)
  error(("field '%s': expected %s, got %s"):format(name, expected, describe(v)), 0)
end

local function no_field(schema, name)
  local names = {}
  for _, field in ipairs(schema.fields) do names[#names + 1] = field.name end
  error(("field '%s' is not in the record (it has %s)"):format(tostring(name), table.concat(names, ", ")), 0)
end

local env = {
  ffi = ffi, C = f.C, bit = bit, floor = math.floor, abs = math.abs, tonumber = tonumber, type = type, pairs = pairs,
  cast = ffi.cast, copy = ffi.copy, istype = ffi.istype, ffi_string = ffi.string, bytes_p = f.bytes_p,
  band = bit.band, bor = bit.bor, bnot = bit.bnot, overflow = overflow, bad_value = bad_value, grow = f.grow,
  STAND_IN = passing.STAND_IN,
  int64 = f.int64, uint64 = f.uint64, entry_p = f.entry_p, ENTRY_SIZE = f.ENTRY_SIZE, current = {},
}
M.current = env.current -- .keyed: the sw_keyed_instance whose state record is being changed

local function compile(text, name, extra)
  text = "local type, tonumber, band, bor, bnot, abs, floor, cast, istype = type, tonumber, band, bor, bnot, abs, "
    .. "floor, cast, istype\n" .. text
  local chunk = assert(loadstring(text, "=" .. name))
  return setfenv(chunk, setmetatable(extra or {}, { __index = env }))()
end

local function bit_of(i)
  return math.floor((i - 1) / 32), bit.lshift(1, (i - 1) % 32)
end

--- Text that turns value `v` into what the slot holds, or raises.
local converters = {
  f64 = [[if type(v) ~= "number" then
    if istype(int64, v) or istype(uint64, v) then v = tonumber(v) else bad_value(NAME, "a number (f64)", v) end end]],
  i64 = [[if type(v) == "number" then
    if floor(v) ~= v or abs(v) >= 9007199254740992 then NOT_PLAIN
      if tonumber(cast(int64, v)) ~= v or v >= 9223372036854775808 then bad_value(NAME, "an integer (i64)", v) end
    end
    v = cast(int64, v)
    else NOT_PLAIN
      if not istype(int64, v) then
        if istype(uint64, v) and v < 9223372036854775808ULL then v = cast(int64, v)
        else bad_value(NAME, "an integer (i64)", v) end end end]],
  bool = [[if type(v) ~= "boolean" then bad_value(NAME, "true or false (bool)", v) end v = v and 1 or 0]],
  string = [[if type(v) ~= "string" then bad_value(NAME, "a string", v) end]],
}
converters.time = converters.i64:gsub("%(i64%)", "(time in ms)")

-- What to do where a whole number is found that is not within 2^53: a writer notes it.
local NOT_PLAIN = "flags = 0"

local readers = {
  f64 = "return r.sw__I",
  i64 = [[local v = r.sw__I local n = tonumber(v)
    if abs(n) < 9007199254740992 then return n end return v]],
  bool = "return r.sw__I ~= 0",
  time = "local n = tonumber(r.sw__I) return n",
}
--- The same where the record is known to be plain. (No tail calls: the recorder bounds them.)
local plain_readers = {
  f64 = "return r.sw__I",
  i64 = "local n = tonumber(r.sw__I) return n",
  bool = "return r.sw__I ~= 0",
  time = "local n = tonumber(r.sw__I) return n",
  string = "local s = ffi_string(cast(bytes_p, r) + r.sw__I, r.sw__Il) return s",
}
local string_reader = {
  row = [[local n = r.sw__Il
    if n == 4294967295 then return overflow[r.sw__I] end
    local s = ffi_string(cast(bytes_p, r) + r.sw__I, n) return s]],
  state = "local s = r.sw__I local text = ffi_string(s.bytes, s.len) return text",
}
local string_writer = {
  row = [[local at = #overflow + 1 overflow[at] = v r.sw__I = at r.sw__Il = 4294967295
    r.sw__h.flags = 1]],
  state = [[local entry = cast(entry_p, cast(bytes_p, r) - ENTRY_SIZE)
    if C.swffi_keyed_set_string(current.keyed, entry, I - 1, v, #v) ~= 0 then
    bad_value(NAME, "memory for a string", v) end]],
}

local function fill(text, i, field)
  local word, mask = bit_of(i)
  return (text:gsub("NAME", function() return ("%q"):format(field.name) end)
    :gsub("%f[%w]WORD%f[%W]", tostring(word)):gsub("%f[%w]MASK%f[%W]", tostring(mask))
    :gsub("sw__I", "sw__" .. i):gsub("%f[%w]I %- 1", tostring(i - 1)))
end

local function make_reader(i, field, where)
  local body = field.type == "string" and string_reader[where] or readers[field.type]
  local quick = where == "row" and "if r.sw__h.flags == 2 then " .. plain_readers[field.type] .. " end" or ""
  return compile(fill("return function(r) " .. quick .. [[
    if band(r.sw__p[WORD], MASK) == 0 then return nil end
    ]] .. body .. " end", i, field), "record." .. field.name)
end

local function make_setter(i, field, where)
  local store = field.type == "string" and string_writer[where] or "r.sw__I = v"
  local altered = where == "row" and "if r.sw__h.flags == 2 then r.sw__h.flags = 0 end" or ""
  return compile(fill("return function(r, v) " .. altered .. [[
    if v == nil then r.sw__p[WORD] = band(r.sw__p[WORD], bnot(MASK)) return end
    ]] .. converters[field.type]:gsub("NOT_PLAIN", "") .. "\n" .. store .. [[
    local present = r.sw__p[WORD]
    if band(present, MASK) == 0 then r.sw__p[WORD] = bor(present, MASK) end end]], i, field), "record." .. field.name)
end

--- A reader of a string field that its caller only hands on, or compares with these constants (internal/passing.lua).
local function make_passive_reader(i, field, constants)
  local names, tests = {}, {}
  for k, text in ipairs(constants or {}) do
    names[k] = "k" .. k
    tests[k] = ("if n == %d and C.memcmp(s, k%d, %d) == 0 then return k%d end"):format(#text, k, #text, k)
  end
  local bind = #names > 0 and ("local %s = unpack(constants)\n"):format(table.concat(names, ", ")) or ""
  local text = bind .. fill([[return function(r)
    if band(r.sw__p[WORD], MASK) == 0 then return nil end
    local n = r.sw__Il local s = cast(bytes_p, r) + r.sw__I
    ]] .. table.concat(tests, "\n") .. " return STAND_IN end", i, field)
  return compile(text, "record." .. field.name, { constants = constants, unpack = unpack })
end

--- Gives a ctype the fields of a schema. `readers` replaces some.
local function attach_metatable(schema, ctype, where, readers_given)
  local get, set = {}, {}
  for i, field in ipairs(schema.fields) do
    get[field.name] = readers_given and readers_given[field.name] or make_reader(i, field, where)
    set[field.name] = make_setter(i, field, where)
  end
  ffi.metatype(ctype, {
    __index = function(r, k)
      local read = get[k]
      if read == nil then no_field(schema, k) end
      local value = read(r) -- No tail call: the recorder bounds them.
      return value
    end,
    __newindex = function(r, k, v)
      local write = set[k]
      if write == nil then no_field(schema, k) end
      write(r, v)
    end,
  })
  return get, set
end

local UNROLLED_MAX = 16 -- fields

--- Raises for a field that the schema lacks. Looking at all keys keeps the JIT from sinking the table: the caller does
-- it for a sample of the events. A loop must not become a trace in the middle of the hot one, so there is none, or
-- none that is compiled.
local function make_check(schema)
  local known, count = {}, #schema.fields
  for _, field in ipairs(schema.fields) do known[field.name] = true end
  local function unknown(k) no_field(schema, k) end
  if count <= UNROLLED_MAX then
    local step = "if k == nil then return end if not known[k] then unknown(k) end k = next(t, k)\n"
    return compile("local known, next, unknown = known, next, unknown return function(t) local k = next(t)\n"
      .. step:rep(count) .. "if k ~= nil then unknown(k) end end", "record.fields",
      { known = known, next = plain_next, unknown = unknown })
  end
  local function check_fields(t)
    for k in pairs(t) do
      if not known[k] then unknown(k) end
    end
  end
  jit.off(check_fields)
  return check_fields
end

--- `passed`: field of the result -> slot number of the input's field whose bytes are taken where the stand-in is found.
local function put_strings_length(out, schema, passed)
  for i, field in ipairs(schema.fields) do
    if field.type == "string" then
      local from = passed[field.name]
      local taken = from and ("if v == STAND_IN then size = size + input.sw__%dl else "):format(from) or ""
      out[#out + 1] = fill("do local v = t[NAME] if v ~= nil then " .. taken .. converters.string
        .. " size = size + #v " .. (from and "end " or "") .. "end end", i, field)
    end
  end
end

local function string_store(passed)
  local store = "local n = #v r.sw__I = off r.sw__Il = n copy(data + off, v, n) off = off + n"
  if not passed then return store end
  return ("if v == STAND_IN then local n = input.sw__%dl r.sw__I = off r.sw__Il = n "
    .. "copy(data + off, cast(bytes_p, input) + input.sw__%d, n) off = off + n else %s end")
    :format(passed, passed, store)
end

--- What a slot holds of a value that is known to fit.
local trusted = { f64 = "", i64 = "v = cast(int64, v)", time = "v = cast(int64, v)", bool = "v = v and 1 or 0" }

local function put_slots(out, schema, passed, converters_used)
  local word, full = -1, 0
  local function finish_word()
    out[#out + 1] = ("r.sw__p[%d] = p if p ~= %d then flags = 0 end end"):format(word, full)
  end
  out[#out + 1] = "local flags = 2"
  for i, field in ipairs(schema.fields) do
    local w, mask = bit_of(i)
    if w ~= word then
      if word >= 0 then finish_word() end
      out[#out + 1] = "do local p = 0"
      word, full = w, 0
    end
    full = bit.bor(full, mask)
    local store = field.type == "string" and string_store(passed[field.name])
      or converters_used[field.type]:gsub("NOT_PLAIN", NOT_PLAIN) .. " r.sw__I = v"
    out[#out + 1] = fill("do local v = t[NAME] if v ~= nil then " .. store .. " p = bor(p, MASK) end end", i, field)
  end
  finish_word()
  out[#out + 1] = "r.sw__h.flags = flags"
  for w = word + 1, words(schema) - 1 do out[#out + 1] = ("r.sw__p[%d] = 0"):format(w) end
end

--- Text of a function that binds a scratch of its own and returns the writer: table -> record in that scratch. What
-- never changes of the header is written once; only records with strings change their length.
local function writer_text(schema, ctype_name, passed)
  local fixed = f.ROW_SIZE + words(schema) * 4 + 8 * #schema.fields
  local has_strings = schema.has_strings
  local out = { ([[local ptr = ffi.typeof("%s *")
    return function(S)
    local function prepare(len)
      if len > S.cap then grow(S, len) end
      local r = cast(ptr, S.data)
      local h = r.sw__h
      h.len, h.body_len, h.key_len, h.hash = len, %d, 0, 0
      h.schema, h.kind, h.flags, h.reserved = %d, 0, 0, 0
      return r
    end
    local r = prepare(%d)]]):format(ctype_name, fixed - f.ROW_SIZE, schema.id, fixed) }
  out[#out + 1] = "return function(t, input)"
  if has_strings then
    out[#out + 1] = ("local size = %d"):format(fixed)
    put_strings_length(out, schema, passed)
    out[#out + 1] = ([[local len = band(size + 7, -8)
      if len > S.cap then r = prepare(len) end
      local data, off = S.data, %d
      local h = r.sw__h
      h.len, h.body_len = len, size - %d]]):format(fixed, f.ROW_SIZE)
  end
  put_slots(out, schema, passed, converters)
  out[#out + 1] = "return r end end"
  return table.concat(out, "\n")
end

--- Text of a function that binds a row's header and returns the sender: it puts the header of a table that was
-- checked to `port`, and writes the rest in place. False where the port does not take it so.
local function sender_text(schema, ctype_name)
  local fixed = f.ROW_SIZE + words(schema) * 4 + 8 * #schema.fields
  local out = { ([[local ptr = ffi.typeof("%s *")
    return function(head)
    head.len, head.body_len, head.schema = %d, %d, %d
    return function(t, time, task, port, instance)]]):format(ctype_name, fixed, fixed - f.ROW_SIZE, schema.id) }
  if schema.has_strings then
    out[#out + 1] = ("local size = %d"):format(fixed)
    put_strings_length(out, schema, {})
    out[#out + 1] = ("head.len, head.body_len = band(size + 7, -8), size - %d"):format(f.ROW_SIZE)
  end
  out[#out + 1] = [[head.time = time
    local row = C.swffi_port_put_header(task, port, head, instance)
    if row == nil then return false end
    local r = cast(ptr, row)]]
  if schema.has_strings then
    out[#out + 1] = ("local data, off = cast(bytes_p, row), %d"):format(fixed)
  end
  put_slots(out, schema, {}, trusted)
  out[#out + 1] = "return true end end"
  return table.concat(out, "\n")
end

--- What a field asks of a value that stays in its table: text that raises for a wrong one and returns false for a
-- 64-bit integer, which only a record reads back as a number where it fits.
local stays = {
  f64 = [[if type(v) ~= "number" then
    if istype(int64, v) or istype(uint64, v) then return false end bad_value(NAME, "a number (f64)", v) end]],
  i64 = [[if type(v) ~= "number" then
    if istype(int64, v) or istype(uint64, v) then return false end bad_value(NAME, "an integer (i64)", v) end
    if tonumber(cast(int64, v)) ~= v then bad_value(NAME, "an integer (i64)", v) end
    if v >= 9007199254740992 or v <= -9007199254740992 then return false end]],
  bool = [[if type(v) ~= "boolean" then bad_value(NAME, "true or false (bool)", v) end]],
  string = converters.string,
}
stays.time = stays.i64:gsub("%(i64%)", "(time in ms)")

--- The same for the usual values, in fewer steps: anything else is left to `exact`. Integers are exact together when
-- the sum of their magnitudes is; two sums take turns, since a long chain of additions is slow.
local stays_quickly = {
  f64 = [[if type(v) ~= "number" then return exact(t) end]],
  i64 = [[if type(v) ~= "number" or floor(v) ~= v then return exact(t) end ADD abs(v)]],
  bool = [[if type(v) ~= "boolean" then return exact(t) end]],
  string = [[if type(v) ~= "string" then return exact(t) end]],
}
stays_quickly.time = stays_quickly.i64

local function table_check_text(schema, head, tests, tail)
  local out, whole_numbers = { head }, 0
  for i, field in ipairs(schema.fields) do
    local sum = whole_numbers % 2 == 0 and "a" or "b"
    local test, count = tests[field.type]:gsub("ADD", whole_numbers < 2 and sum .. " =" or sum .. " = " .. sum .. " +")
    whole_numbers = whole_numbers + count
    out[#out + 1] = fill("do local v = t[NAME] if v ~= nil then " .. test .. " end end", i, field)
  end
  out[#out + 1] = tail
  return table.concat(out, "\n")
end

--- A function that checks a table against the schema: true when it can stand for the record inside a task.
local function make_table_check(schema)
  local exact = compile(table_check_text(schema, "return function(t)", stays, "return true end"), "record.check")
  local text = table_check_text(schema, [[
    return function(t) local a, b = 0, 0]], stays_quickly, [[if a + b < 9007199254740992 then return true end
    return exact(t) end]])
  return compile(text, "record.check", { exact = exact })
end

--- What makes such a table refuse the fields that the schema lacks.
local function make_table_meta(schema)
  local known = {}
  for _, field in ipairs(schema.fields) do known[field.name] = true end
  return {
    __index = function(_, k)
      if not known[k] then no_field(schema, k) end
      return nil
    end,
    __newindex = function(t, k, v)
      if not known[k] then no_field(schema, k) end
      rawset(t, k, v)
    end,
  }
end

local by_id, by_text, states_by_text = {}, {}, {}

--- The engine's view of a schema (made by sw.record): id, ctype, view (row -> record), write, get.
function M.of(schema)
  local made = by_text[schema.text]
  if made then return made end
  local names, types = {}, {}
  for i, field in ipairs(schema.fields) do names[i], types[i] = field.name, field.type end
  made = { fields = schema.fields, text = schema.text, id = core.intern_schema(names, types) }
  local name = "sw_record_" .. made.id
  ffi.cdef(("typedef struct %s { sw_row sw__h; %s } %s;"):format(name, struct_body(schema, slot_types.string), name))
  made.ctype = ffi.typeof(name)
  made.pointer = ffi.typeof(name .. " *")
  made.has_strings = false
  for _, field in ipairs(schema.fields) do made.has_strings = made.has_strings or field.type == "string" end
  made.get, made.set = attach_metatable(made, made.ctype, "row")
  made.check_fields = make_check(made)
  made.table_check = function() return make_table_check(made) end
  made.table_meta = make_table_meta(made)
  made.writer = function(S, passed) -- compiled anew each time: every writer gets its own traces
    return compile(writer_text(made, name, passed or {}), "record.write")(S)
  end
  made.sender = function(head) return compile(sender_text(made, name), "record.send")(head) end
  local pointer, cast = made.pointer, ffi.cast
  made.view = function(row)
    local record = cast(pointer, row)
    return record
  end
  by_text[schema.text], by_id[made.id] = made, made
  return made
end

local variants = 0

--- A second view of a schema's records, in which passive string fields (internal/passing.lua: `found`) are not made
-- into Lua strings.
---@return fun(record: ffi.cdata*): ffi.cdata* view
function M.passive_view(schema, found)
  variants = variants + 1
  local name = ("sw_record_%d_%d"):format(schema.id, variants)
  ffi.cdef(("typedef struct %s { sw_row sw__h; %s } %s;"):format(name, struct_body(schema, slot_types.string), name))
  local given = {}
  for i, field in ipairs(schema.fields) do
    if found.passive[field.name] then given[field.name] = make_passive_reader(i, field, found.compared[field.name]) end
  end
  attach_metatable(schema, ffi.typeof(name), "row", given)
  local pointer, cast = ffi.typeof(name .. " *"), ffi.cast
  return function(record)
    local view = cast(pointer, record)
    return view
  end
end

--- Slot numbers of a schema's fields, for the `passed` of a writer.
function M.passed_slots(schema, found)
  local slots = {}
  for out, name in pairs(found.passed) do
    for i, field in ipairs(schema.fields) do
      if field.name == name then slots[out] = i end
    end
  end
  return slots
end

--- The layout of keyed state with this schema: `view` turns an entry's value into a record.
function M.state_of(schema)
  local made = states_by_text[schema.text]
  if made then return made end
  local row_schema = M.of(schema)
  made = { fields = schema.fields, text = schema.text, id = row_schema.id, words = words(schema),
    has_strings = row_schema.has_strings }
  local name = "sw_state_" .. made.id
  ffi.cdef(("typedef struct %s { %s } %s;"):format(name, struct_body(schema, "sw_keyed_string *sw__%d;"), name))
  made.pointer = ffi.typeof(name .. " *")
  made.get, made.set = attach_metatable(made, ffi.typeof(name), "state")
  states_by_text[schema.text] = made
  return made
end

ffi.cdef("typedef struct sw_sample { uint8_t left; } sw_sample;")
local SAMPLE_FIRST, SAMPLE_EVENTS = 3, 1024

--- Which of the tables that a task's components emit are searched for unknown fields: the first three of each
-- component (no trace is recorded by then), and then one when `count` says that 1,024 events more have been read. How
-- many are left to search is kept in memory of its own type, so that the JIT finds it unchanged by an event.
---@return { boxes: ffi.cdata*[], count: fun(events: integer) } sample
function M.sample()
  local boxes, seen = {}, 0
  return {
    boxes = boxes,
    count = function(events)
      seen = seen + events
      if seen < SAMPLE_EVENTS then return end
      seen = 0
      for i = 1, #boxes do boxes[i].left = 1 end
    end,
  }
end

--- Raises for a field that the schema lacks, where `sample` has tables searched; without one, in all.
function M.sampled_check(schema, sample)
  local check_fields = schema.check_fields
  if not sample then return check_fields end
  local box = ffi.new("sw_sample", SAMPLE_FIRST)
  sample.boxes[#sample.boxes + 1] = box
  return function(t)
    if box.left > 0 then
      box.left = box.left - 1
      check_fields(t)
    end
  end
end

function M.by_id(id)
  return by_id[id]
end

local function schema_id(record)
  return record.sw__h.schema
end

--- The schema of a record (cdata), or nil when the value is none.
function M.schema_of(record)
  if type(record) ~= "cdata" then return nil end
  local ok, id = pcall(schema_id, record)
  return ok and by_id[id] or nil
end

--- A table with the fields of a record that are not nil.
function M.to_table(record, schema)
  schema = schema or M.schema_of(record)
  local out = {}
  for _, field in ipairs(schema.fields) do out[field.name] = schema.get[field.name](record) end
  return out
end

--- A function that writes a record whose strings were set in place as a plain row, in memory of its own: a row stays
-- until the function's next call with a record of the same schema.
function M.flattener()
  local writers, anchors = {}, {}
  return function(record)
    local schema = M.schema_of(record)
    if not writers[schema] then
      local S, anchor = f.scratch()
      anchors[#anchors + 1] = anchor
      writers[schema] = schema.writer(S)
    end
    local header = record.sw__h
    local time, stamp = header.time, header.stamp
    local flat = writers[schema](M.to_table(record, schema))
    flat.sw__h.time, flat.sw__h.stamp = time, stamp
    return flat
  end
end

--- Forgets the strings that were set on records of the batch that is done.
function M.clear_overflow()
  if #overflow > 0 then
    for i = #overflow, 1, -1 do overflow[i] = nil end
  end
end

values.record_table = function(v) -- what sw.table and the encoder use
  local schema = M.schema_of(v)
  return schema and M.to_table(v, schema)
end

--- Records over memory of their own: the memory is kept as long as the record is.
local anchors = setmetatable({}, { __mode = "k" })
local flatten_copy = M.flattener()

--- What sw.copy does with a record: a record that outlives the call.
values.record_copy = function(v)
  local schema = M.schema_of(v)
  if not schema then return nil end
  if v.sw__h.flags == f.ALTERED then v = flatten_copy(v) end
  local len = v.sw__h.len
  local memory = ffi.new("uint8_t[?]", len)
  ffi.copy(memory, v, len)
  local record = ffi.cast(schema.pointer, memory)
  anchors[record] = memory
  return record
end

return M
