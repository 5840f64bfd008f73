"""Lua scripts of uploads: an address for bytes, the verdict about them, and the jobs that need them.

The scripts of jobs call `use_uploads` and `release_uploads`, so that a job and its claim on uploads are one step.
"""

from core.keys import UPLOAD, UPLOADS
from core.lua_common import COMMON

USES = f"""
local function upload_key(id) return '{UPLOAD}' .. id end
-- both take the record's field `uploads`: a JSON object from digest to upload, or ''
local function each_upload(uploads)
  return pairs(uploads and uploads ~= '' and cjson.decode(uploads) or {{}})
end
local function use_uploads(uploads)
  for _, id in each_upload(uploads) do
    if redis.call('HEXISTS', upload_key(id), 'image') == 0 then return false end
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
"""

# ARGV: id, how long it lives unused (ms). Answer: when it vanishes unless a job uses it (ms since the epoch).
CREATE = (
    COMMON
    + f"""
local vanishes = now() + ARGV[2]
redis.call('HSET', '{UPLOAD}' .. ARGV[1], 'life', ARGV[2], 'jobs', 0)
redis.call('ZADD', '{UPLOADS}', vanishes, ARGV[1])
return vanishes
"""
)

# ARGV: ids. Answer: for each whether it exists, the image that it holds, the problem with it.
READ = f"""
local found = {{}}
for _, id in ipairs(ARGV) do
  table.insert(found, redis.call('HMGET', '{UPLOAD}' .. id, 'life', 'image', 'problem'))
end
return found
"""

# ARGV: id, 'image' or 'problem', the verdict. The first one stays. Answer: as READ does for this upload.
JUDGE = f"""
local key = '{UPLOAD}' .. ARGV[1]
local known = redis.call('HMGET', key, 'life', 'image', 'problem')
if not known[1] or known[2] or known[3] then return known end
redis.call('HSET', key, ARGV[2], ARGV[3])
return redis.call('HMGET', key, 'life', 'image', 'problem')
"""
