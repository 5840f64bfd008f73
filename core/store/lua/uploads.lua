-- Uploads: an id that takes bytes, what the bytes turned out to be, and the jobs that use them.
-- include shared/uploads.lua

local commands = {}

local function read(id) return call('HMGET', upload_key(id), 'life', 'image', 'problem') end

-- Make an upload that is deleted after `life` unless a job uses it. It counts as `max_bytes` of the
-- tenant's `max_bytes_of_all`. Returns when it expires, or -1 if it would exceed them.
function commands.create(id, tenant, life, max_bytes, max_bytes_of_all)
  local expires = now() + life
  local taken = call('HGET', C.UPLOAD_BYTES, tenant) or 0
  if taken + max_bytes > tonumber(max_bytes_of_all) then return -1 end
  call('HSET', upload_key(id), 'tenant', tenant, 'life', life, 'jobs', 0)
  call('ZADD', C.UPLOADS, expires, id)
  resize(id, max_bytes)
  return expires
end

-- Returns for each id whether it exists, its image and its problem. Another tenant's does not
-- exist; a tenant of '' may read all.
function commands.read(tenant, ...)
  local found = {}
  for _, id in ipairs({...}) do
    local is_hidden = tenant ~= '' and tenant ~= uploader(id)
    table.insert(found, is_hidden and {false, false, false} or read(id))
  end
  return found
end

-- Note the outcome of checking the bytes, as the field 'image' or 'problem', and the size that
-- counts from now on or ''. The first outcome stays. Returns what `read` does for this upload.
function commands.check(id, field, outcome, bytes)
  local known = read(id)
  if not known[1] or known[2] or known[3] then return known end
  call('HSET', upload_key(id), field, outcome)
  if bytes ~= '' then resize(id, bytes) end
  return read(id)
end

return commands[ARGV[1]](unpack(ARGV, 2))
