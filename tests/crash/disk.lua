--- A model of a disk that loses what was not synced: it follows a log of record.c and builds, at any point of it, a
-- folder as a power loss might leave it.
--
--     log --step--> names, contents: as the program sees them | as they are durable, and what is pending
--                                                              --image--> folder
--
-- Names are durable once their folder is synced, contents once their file is. Of what is pending a loss keeps a
-- beginning or any part; a write may be kept in part, or as zeros.
local ffi = require("ffi")
local process = require("tests.crash.process")

ffi.cdef([[
typedef struct swlua_record {
  uint8_t what, flag;
  uint16_t path_len;
  uint32_t data_len;
  uint64_t inode, offset;
} swlua_record;
]])

local HEAD = ffi.sizeof("swlua_record")

local M = {}

--- The records of a log.
function M.read(path)
  local text, records, at = assert(process.read(path)), {}, 1
  while at <= #text do
    local head = ffi.cast("const swlua_record *", text:sub(at, at + HEAD - 1))
    local path_len, data_len = head.path_len, head.data_len
    records[#records + 1] = {
      what = string.char(head.what), flag = head.flag, inode = tonumber(head.inode), offset = tonumber(head.offset),
      path = text:sub(at + HEAD, at + HEAD + path_len - 1),
      data = text:sub(at + HEAD + path_len, at + HEAD + path_len + data_len - 1),
    }
    at = at + HEAD + path_len + data_len
  end
  return records
end

---@class swlua.crash.Disk
local Disk = {}
Disk.__index = Disk

--- A disk on which `root` is an empty folder. `ignores_syncs`: nothing is ever durable but by chance.
function M.new(root, ignores_syncs)
  return setmetatable({
    root = root, ignores_syncs = ignores_syncs, names = { [root] = { folder = true } },
    durable = { [root] = { folder = true } }, pending = {}, by_inode = {}, newest = 0,
  }, Disk)
end

local function folder_of(path)
  return path:match("^(.*)/[^/]+$")
end

-- Names ---------------------------------------------------------------------------------------------------------------

local function apply_name(names, change)
  if change.what == "r" then
    names[change.to], names[change.path] = change.node, nil
  elseif change.what == "u" then
    names[change.path] = nil
  else
    names[change.path] = change.node
  end
end

local function change_name(disk, change)
  apply_name(disk.names, change)
  disk.pending[#disk.pending + 1] = change
end

local function sync_folder(disk, path)
  local rest = {}
  for _, change in ipairs(disk.pending) do
    if folder_of(change.path) == path then apply_name(disk.durable, change) else rest[#rest + 1] = change end
  end
  disk.pending = rest
end

-- Contents ------------------------------------------------------------------------------------------------------------

local function write_at(content, offset, data)
  if #content < offset then content = content .. ("\0"):rep(offset - #content) end
  return content:sub(1, offset) .. data .. content:sub(offset + #data + 1)
end

local function apply_content(content, change)
  if change.what == "w" then return write_at(content, change.offset, change.data) end
  if #content < change.offset then return content .. ("\0"):rep(change.offset - #content) end
  return content:sub(1, change.offset)
end

local function sync_file(node)
  for _, change in ipairs(node.pending) do node.content = apply_content(node.content, change) end
  node.pending = {}
end

-- Following the log ---------------------------------------------------------------------------------------------------

local steps = {}

function steps.o(disk, record)
  local node = disk.names[record.path]
  if record.flag == 1 then
    if node == nil then
      node = { content = "", pending = {} }
      change_name(disk, { what = "o", path = record.path, node = node })
    else
      node.pending[#node.pending + 1] = { what = "t", offset = 0 }
    end
  end
  disk.by_inode[record.inode] = node or false
  if node then node.path = record.path end
end

function steps.w(disk, record)
  local node = assert(disk.by_inode[record.inode], "a file that was there before was written")
  if node.path:find("/NEWEST$") then disk.newest = tonumber(record.data) or disk.newest end
  local change = { what = "w", offset = record.offset, data = record.data }
  if record.flag == 1 and not disk.ignores_syncs then node.content = apply_content(node.content, change)
  else node.pending[#node.pending + 1] = change end
end

function steps.t(disk, record)
  local node = assert(disk.by_inode[record.inode], "a file that was there before was cut")
  node.pending[#node.pending + 1] = { what = "t", offset = record.offset }
end

function steps.s(disk, record)
  local node = disk.by_inode[record.inode]
  if disk.ignores_syncs or not node then return end
  if node.folder then sync_folder(disk, node.path) else sync_file(node) end
end

function steps.m(disk, record)
  change_name(disk, { what = "m", path = record.path, node = { folder = true } })
end

function steps.u(disk, record)
  change_name(disk, { what = "u", path = record.path })
end
steps.d = steps.u

function steps.r(disk, record)
  change_name(disk, { what = "r", path = record.path, to = record.data, node = disk.names[record.path] })
end

function Disk:step(record)
  steps[record.what](self, record)
end

-- Losing power --------------------------------------------------------------------------------------------------------

--- Of a list a beginning, any part, nothing or all.
local function some(list)
  local kept, way = {}, math.random(4)
  local first = math.random(0, #list)
  for i, item in ipairs(list) do
    local is_kept = way == 1 or (way == 2 and i <= first) or (way == 3 and math.random(2) == 1)
    if is_kept then kept[#kept + 1] = item end
  end
  return kept
end

--- What is left of a write: all of it, a beginning, or as much of nothing.
local function torn(change)
  if change.what ~= "w" or math.random(3) > 1 then return change end
  local size = math.random(0, #change.data)
  if math.random(2) == 1 then size = size - size % 512 end
  local data = change.data:sub(1, size)
  if math.random(4) == 1 then data = ("\0"):rep(#change.data) end
  return { what = "w", offset = change.offset, data = data }
end

local function content_after_loss(node)
  local content = node.content
  for _, change in ipairs(some(node.pending)) do content = apply_content(content, torn(change)) end
  return content
end

local function copy(names)
  local out = {}
  for path, node in pairs(names) do out[path] = node end
  return out
end

local function sorted(names)
  local list = {}
  for path in pairs(names) do list[#list + 1] = path end
  table.sort(list)
  return list
end

--- Makes what a power loss now may leave, in the folder `to`. Returns its names, for who wants to see.
function Disk:image(to)
  local names, made = copy(self.durable), {}
  for _, change in ipairs(some(self.pending)) do apply_name(names, change) end
  made[self.root] = true
  for _, path in ipairs(sorted(names)) do
    local target = to .. path:sub(#self.root + 1)
    if path ~= self.root and made[folder_of(path)] then
      made[path] = names[path].folder
      if names[path].folder then process.shell("mkdir -p '%s'", target)
      else process.write(target, content_after_loss(names[path])) end
    end
  end
end

return M
