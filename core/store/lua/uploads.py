"""Lua scripts of uploads: an address for bytes, the verdict about them, and the jobs that need
them.

The scripts of jobs call `use_uploads` and `release_uploads`, so that a job and its claim on uploads
are one step.
"""

from core.records.tenant import DEFAULT_TENANT
from core.store.keys import UPLOAD, UPLOAD_BYTES, UPLOADS
from core.store.lua.common import COMMON

USES = f"""
local function upload_key(id) return '{UPLOAD}' .. id end
local function uploader(id) return redis.call('HGET', upload_key(id), 'tenant') or '{DEFAULT_TENANT}' end
-- both take the record's field `uploads`: a JSON object from digest to upload, or ''
local function each_upload(uploads)
  return pairs(uploads and uploads ~= '' and cjson.decode(uploads) or {{}})
end
local function use_uploads(tenant, uploads)
  for _, id in each_upload(uploads) do
    if redis.call('HEXISTS', upload_key(id), 'image') == 0 or uploader(id) ~= tenant then return false end
  end
  for _, id in each_upload(uploads) do
    redis.call('HINCRBY', upload_key(id), 'jobs', 1)
    redis.call('ZREM', '{UPLOADS}', id)
  end
  return true
end
local function release_uploads(uploads)
  for _, id in each_upload(uploads) do
    local life = redis.call('HGET', upload_key(id), 'life')
    if life and redis.call('HINCRBY', upload_key(id), 'jobs', -1) <= 0 then
      redis.call('ZADD', '{UPLOADS}', now() + life, id)
    end
  end
end
-- an upload that nobody has judged counts as large as it may become
local function resize(id, bytes)
  local tenant = uploader(id)
  local more = bytes - (redis.call('HGET', upload_key(id), 'bytes') or 0)
  redis.call('HSET', upload_key(id), 'bytes', bytes)
  if redis.call('HINCRBY', '{UPLOAD_BYTES}', tenant, more) <= 0 then redis.call('HDEL', '{UPLOAD_BYTES}', tenant) end
end
local function forget_upload(id)
  redis.call('ZREM', '{UPLOADS}', id)
  if redis.call('EXISTS', upload_key(id)) == 1 then resize(id, 0) end
  redis.call('DEL', upload_key(id))
end
"""

# ARGV: id, tenant, how long it lives unused (ms), how large it may be, how many bytes of uploads
# the tenant may have. Answer: when it vanishes unless a job uses it (ms since the epoch), or -1 if
# the tenant has too many already.
CREATE = (
    COMMON
    + USES
    + f"""
local id, tenant, vanishes = ARGV[1], ARGV[2], now() + ARGV[3]
if (redis.call('HGET', '{UPLOAD_BYTES}', tenant) or 0) + ARGV[4] > tonumber(ARGV[5]) then return -1 end
redis.call('HSET', upload_key(id), 'tenant', tenant, 'life', ARGV[3], 'jobs', 0)
redis.call('ZADD', '{UPLOADS}', vanishes, id)
resize(id, ARGV[4])
return vanishes
"""
)

# ARGV: tenant or '' for whosever it is, ids. Answer: for each whether it exists, the image that it
# holds, the problem with it. Another tenant's does not exist.
READ = (
    COMMON
    + USES
    + """
local found = {}
for i = 2, #ARGV do
  local upload = redis.call('HMGET', upload_key(ARGV[i]), 'life', 'image', 'problem')
  local hidden = ARGV[1] ~= '' and ARGV[1] ~= uploader(ARGV[i])
  table.insert(found, hidden and {false, false, false} or upload)
end
return found
"""
)

# ARGV: id, 'image' or 'problem', the verdict, the size in bytes that counts from now on or ''. The
# first one stays. Answer: as READ does for this upload.
JUDGE = (
    COMMON
    + USES
    + """
local key = upload_key(ARGV[1])
local known = redis.call('HMGET', key, 'life', 'image', 'problem')
if not known[1] or known[2] or known[3] then return known end
redis.call('HSET', key, ARGV[2], ARGV[3])
if ARGV[4] ~= '' then resize(ARGV[1], ARGV[4]) end
return redis.call('HMGET', key, 'life', 'image', 'problem')
"""
)
