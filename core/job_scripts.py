"""Lua scripts behind the gateway's calls and the expiry: every change of a job is one script, whole or not at all."""

from core.job import SCHEMA_VERSION
from core.keys import CHANGES, EXPIRY, IDEMPOTENCY, JOBS, TRASH, UPLOADS
from core.lua_common import COMMON
from core.upload_scripts import USES

# what an idempotency key came to before, as these scripts answer it
RECALL = f"""
local function recall(digest, fingerprint)
  if digest == '' then return nil end
  local first = redis.call('HMGET', '{IDEMPOTENCY}' .. digest, 'id', 'fingerprint')
  if first[1] then return {{first[2] == fingerprint and 'replayed' or 'reused', view(first[1])}} end
end
"""

# record first, then objects: these are in the trash until somebody has deleted them
FORGET = f"""
local function forget(id)
  local job = redis.call('HMGET', key_of(id), 'status', 'uploads')
  release_uploads(job[2])
  redis.call('ZADD', '{TRASH}', now(), id)
  redis.call('DEL', key_of(id))
  redis.call('ZREM', '{JOBS}', id)
  redis.call('ZREM', '{JOBS}:' .. (job[1] or ''), id)
  redis.call('ZREM', '{EXPIRY}', id)
end
"""

# ARGV: digest of the idempotency key, fingerprint. Answer: what the key came to before, then the view, or nothing.
RECALL_KEY = COMMON + RECALL + "return recall(ARGV[1], ARGV[2]) or {}"

# ARGV: id, how long objects may take to be stored (ms), digest of the idempotency key or '', fingerprint. The id waits
# in the trash until SUBMIT takes it out, so that objects of a job that never comes are found. Answer: 'reserved', or
# what the key came to before, then the view.
RESERVE = (
    COMMON
    + RECALL
    + f"""
local known = recall(ARGV[3], ARGV[4])
if known then return known end
redis.call('ZADD', '{TRASH}', now() + ARGV[2], ARGV[1])
return {{'reserved', view(ARGV[1])}}
"""
)

# ARGV: id, time to live (ms), priority, digest of the idempotency key or '', fingerprint of the request, how long both
# are kept (ms), how many jobs may wait or '', '1' if the id was reserved, uploads by digest (JSON) or '', then field,
# value, …  Answer: 'created', 'replayed', 'reused', 'full', 'late' if the objects may be deleted already, or
# 'upload_gone', then the view.
SUBMIT = (
    COMMON
    + USES
    + RECALL
    + f"""
local id, at = ARGV[1], now()
local known = recall(ARGV[4], ARGV[5])
if known then return known end
if ARGV[7] ~= '' and redis.call('ZCARD', '{JOBS}:queued') >= tonumber(ARGV[7]) then return {{'full', view(id)}} end
if ARGV[8] == '1' and (tonumber(redis.call('ZSCORE', '{TRASH}', id)) or 0) <= at then return {{'late', view(id)}} end
if not use_uploads(ARGV[9]) then return {{'upload_gone', view(id)}} end
if ARGV[4] ~= '' then
  redis.call('HSET', '{IDEMPOTENCY}' .. ARGV[4], 'id', id, 'fingerprint', ARGV[5])
  redis.call('PEXPIRE', '{IDEMPOTENCY}' .. ARGV[4], ARGV[6])
end
redis.call('ZREM', '{TRASH}', id)
redis.call('HSET', key_of(id), 'schema', {SCHEMA_VERSION}, 'id', id, 'status', 'queued', 'version', 1, 'created', at,
  'expires', at + ARGV[2], 'priority', ARGV[3], 'attempts', 0, 'lost_leases', 0, 'fence', 0, 'uploads', ARGV[9],
  unpack(ARGV, 10))
redis.call('ZADD', '{JOBS}', 0, id)
redis.call('ZADD', '{JOBS}:queued', 0, id)
enqueue(id)
wake()
return {{'created', view(id)}}
"""
)

# ARGV: id. Answer: the view, of which only the position is there where the job is not.
READ = COMMON + "return view(ARGV[1])"

# ARGV: status or '', id after which to go on or '', limit. Answer: views, the newest first.
LIST = (
    COMMON
    + f"""
local index = ARGV[1] == '' and '{JOBS}' or '{JOBS}:' .. ARGV[1]
local from = ARGV[2] == '' and '+' or '(' .. ARGV[2]
local page = {{}}
for _, id in ipairs(redis.call('ZRANGE', index, from, '-', 'BYLEX', 'REV', 'LIMIT', 0, ARGV[3])) do
  table.insert(page, view(id))
end
return page
"""
)

# ARGV: id. A queued job ends at once, a running one at its next denoising step. Answer: the view.
CANCEL = (
    COMMON
    + """
local status = redis.call('HGET', key_of(ARGV[1]), 'status')
if status == 'queued' then finish(ARGV[1], 'canceled') end
if status == 'running' then redis.call('HSET', key_of(ARGV[1]), 'cancel', 1) end
return view(ARGV[1])
"""
)

# ARGV: id. Answer: 1 if the record is gone now and its objects are to be deleted, 0 if there is none, -1 if it runs.
DELETE = (
    COMMON
    + USES
    + FORGET
    + f"""
local status = redis.call('HGET', key_of(ARGV[1]), 'status')
if not status then return 0 end
if status == 'queued' or status == 'running' then return -1 end
forget(ARGV[1])
redis.call('PUBLISH', '{CHANGES}', ARGV[1] .. ' 0')
return 1
"""
)

# ARGV: limit. Moves ended jobs and unused uploads past their time to the trash. Answer: ids in the trash that are due.
SWEEP_EXPIRED = (
    COMMON
    + USES
    + FORGET
    + f"""
for _, id in ipairs(redis.call('ZRANGE', '{EXPIRY}', '-inf', now(), 'BYSCORE', 'LIMIT', 0, ARGV[1])) do
  forget(id)
end
for _, id in ipairs(redis.call('ZRANGE', '{UPLOADS}', '-inf', now(), 'BYSCORE', 'LIMIT', 0, ARGV[1])) do
  redis.call('ZREM', '{UPLOADS}', id)
  redis.call('DEL', upload_key(id))
  redis.call('ZADD', '{TRASH}', now(), id)
end
return redis.call('ZRANGE', '{TRASH}', '-inf', now(), 'BYSCORE', 'LIMIT', 0, ARGV[1])
"""
)
