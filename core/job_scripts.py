"""Lua scripts behind the gateway's calls and the expiry: every change of a job is one script, whole or not at all."""

from core.job import SCHEMA_VERSION
from core.keys import CHANGES, EXPIRY, IDEMPOTENCY, JOBS, TRASH
from core.lua_common import COMMON

# ARGV: id, time to live (ms), priority, digest of the idempotency key or '', fingerprint of the request, how long both
# are kept (ms), how many jobs may wait or '', then field, value, …  Answer: 'created', 'replayed', 'reused' or 'full',
# then the view.
SUBMIT = (
    COMMON
    + f"""
local id, at, known = ARGV[1], now(), '{IDEMPOTENCY}' .. ARGV[4]
if ARGV[4] ~= '' then
  local first = redis.call('HMGET', known, 'id', 'fingerprint')
  if first[1] then return {{first[2] == ARGV[5] and 'replayed' or 'reused', view(first[1])}} end
end
if ARGV[7] ~= '' and redis.call('ZCARD', '{JOBS}:queued') >= tonumber(ARGV[7]) then return {{'full', view(id)}} end
if ARGV[4] ~= '' then
  redis.call('HSET', known, 'id', id, 'fingerprint', ARGV[5])
  redis.call('PEXPIRE', known, ARGV[6])
end
redis.call('HSET', key_of(id), 'schema', {SCHEMA_VERSION}, 'id', id, 'status', 'queued', 'version', 1, 'created', at,
  'expires', at + ARGV[2], 'priority', ARGV[3], 'attempts', 0, 'lost_leases', 0, 'fence', 0, unpack(ARGV, 8))
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
    + f"""
local status = redis.call('HGET', key_of(ARGV[1]), 'status')
if not status then return 0 end
if status == 'queued' or status == 'running' then return -1 end
redis.call('ZADD', '{TRASH}', now(), ARGV[1])
redis.call('DEL', key_of(ARGV[1]))
redis.call('ZREM', '{JOBS}', ARGV[1])
redis.call('ZREM', '{JOBS}:' .. status, ARGV[1])
redis.call('ZREM', '{EXPIRY}', ARGV[1])
redis.call('PUBLISH', '{CHANGES}', ARGV[1] .. ' 0')
return 1
"""
)

# ARGV: limit. Moves ended jobs past their time to the trash. Answer: ids of jobs in the trash.
SWEEP_EXPIRED = (
    COMMON
    + f"""
for _, id in ipairs(redis.call('ZRANGE', '{EXPIRY}', '-inf', now(), 'BYSCORE', 'LIMIT', 0, ARGV[1])) do
  redis.call('ZREM', '{EXPIRY}', id)
  redis.call('ZREM', '{JOBS}', id)
  redis.call('ZREM', '{JOBS}:' .. (redis.call('HGET', key_of(id), 'status') or ''), id)
  redis.call('DEL', key_of(id))
  redis.call('ZADD', '{TRASH}', now(), id)
end
return redis.call('ZRANGE', '{TRASH}', 0, ARGV[1] - 1)
"""
)
