"""Lua scripts of the job store: every change of a job is one script, so it happens whole or not at all.

Time is Redis's own clock in every script, so no machine's clock decides about a lease. The scripts reach the keys of
jobs that they find on the way, which a Redis Cluster would refuse; the service runs on one Redis.
"""

from core.job import MAX_LOST_LEASES, SCHEMA_VERSION
from core.keys import CHANGES, EXPIRY, IDEMPOTENCY, JOB, JOBS, LEASES, READY, READY_KEYS, TRASH, WAKE

_LANES = "{'" + "', '".join(READY_KEYS) + "'}"

COMMON = f"""
local function now()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end
local function wake()
  if redis.call('LLEN', '{WAKE}') == 0 then redis.call('LPUSH', '{WAKE}', '1') end
end
local function key_of(id) return '{JOB}' .. id end
-- the job is still this attempt's: everything that a worker writes goes through here
local function held(id, fence)
  local state = redis.call('HMGET', key_of(id), 'status', 'fence')
  return state[1] == 'running' and state[2] == fence
end
local function change(id, ...)
  redis.call('HSET', key_of(id), ...)
  redis.call('PUBLISH', '{CHANGES}', id .. ' ' .. redis.call('HINCRBY', key_of(id), 'version', 1))
end
local function move(id, status, ...)
  redis.call('ZREM', '{JOBS}:' .. redis.call('HGET', key_of(id), 'status'), id)
  redis.call('ZADD', '{JOBS}:' .. status, 0, id)
  change(id, 'status', status, ...)
end
local function enqueue(id)
  local job = redis.call('HMGET', key_of(id), 'priority', 'created')
  redis.call('ZADD', '{READY}' .. job[1], job[2], id)
end
local function finish(id, status, ...)
  move(id, status, 'finished', now(), 'progress', '', ...)
  redis.call('ZREM', '{READY}' .. redis.call('HGET', key_of(id), 'priority'), id)
  redis.call('ZREM', '{LEASES}', id)
  redis.call('ZADD', '{EXPIRY}', redis.call('HGET', key_of(id), 'expires'), id)
end
local function requeue(id)
  redis.call('ZREM', '{LEASES}', id)
  if redis.call('HGET', key_of(id), 'cancel') then return finish(id, 'canceled') end
  redis.call('HDEL', key_of(id), 'started')
  move(id, 'queued', 'progress', '')
  enqueue(id)
  wake()
end
-- the record, and before it its place in the queue or -1
local function view(id)
  local record, position = redis.call('HGETALL', key_of(id)), -1
  local job = redis.call('HMGET', key_of(id), 'status', 'priority')
  if job[1] == 'queued' then
    local ahead = 0
    for _, lane in ipairs({_LANES}) do
      if lane == '{READY}' .. job[2] then
        position = ahead + (redis.call('ZRANK', lane, id) or 0)
        break
      end
      ahead = ahead + redis.call('ZCARD', lane)
    end
  end
  table.insert(record, 1, position)
  return record
end
"""

# ARGV: id, time to live (ms), priority, digest of the idempotency key or '', fingerprint of the request, how long both
# are kept (ms), then field, value, …  Answer: 'created', 'replayed' or 'reused', then the record.
SUBMIT = (
    COMMON
    + f"""
local id, at, known = ARGV[1], now(), '{IDEMPOTENCY}' .. ARGV[4]
if ARGV[4] ~= '' then
  local first = redis.call('HMGET', known, 'id', 'fingerprint')
  if first[1] then return {{first[2] == ARGV[5] and 'replayed' or 'reused', view(first[1])}} end
  redis.call('HSET', known, 'id', id, 'fingerprint', ARGV[5])
  redis.call('PEXPIRE', known, ARGV[6])
end
redis.call('HSET', key_of(id), 'schema', {SCHEMA_VERSION}, 'id', id, 'status', 'queued', 'version', 1, 'created', at,
  'expires', at + ARGV[2], 'priority', ARGV[3], 'attempts', 0, 'lost_leases', 0, 'fence', 0, unpack(ARGV, 7))
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

# ARGV: worker, lease (ms). Answer: the record of the best ready job, now running, or nothing.
CLAIM = (
    COMMON
    + f"""
for _, lane in ipairs({_LANES}) do
  while true do
    local id = redis.call('ZPOPMIN', lane)[1]
    if not id then break end
    if redis.call('HGET', key_of(id), 'status') == 'queued' then
      redis.call('HINCRBY', key_of(id), 'fence', 1)
      redis.call('HINCRBY', key_of(id), 'attempts', 1)
      move(id, 'running', 'started', now(), 'worker', ARGV[1])
      redis.call('ZADD', '{LEASES}', now() + ARGV[2], id)
      return redis.call('HGETALL', key_of(id))
    end
  end
end
return {{}}
"""
)

# ARGV: id, fence, lease (ms), progress or ''. Answer: 0 if the job is no longer this attempt's, 2 if it is to be
# canceled, else 1.
RENEW = (
    COMMON
    + f"""
if not held(ARGV[1], ARGV[2]) then return 0 end
redis.call('ZADD', '{LEASES}', now() + ARGV[3], ARGV[1])
if ARGV[4] ~= '' then change(ARGV[1], 'progress', ARGV[4]) end
return redis.call('HGET', key_of(ARGV[1]), 'cancel') and 2 or 1
"""
)

# ARGV: id, fence, final status, then field, value, …  Answer: 1 if it was this attempt's, even if told twice. A job
# that is to be canceled ends so, whatever came out: its caller was told.
FINISH = (
    COMMON
    + """
local id, status = ARGV[1], ARGV[3]
local state = redis.call('HMGET', key_of(id), 'status', 'fence', 'cancel')
if state[1] == status and state[2] == ARGV[2] then return 1 end  -- the answer to the first try was lost
if not held(id, ARGV[2]) then return state[1] == 'canceled' and state[2] == ARGV[2] and 1 or 0 end
if state[3] and status ~= 'canceled' then
  finish(id, 'canceled')
else
  finish(id, status, unpack(ARGV, 4))
end
wake()
return 1
"""
)

# ARGV: id, fence. The worker shuts down in order: the job waits again, in its old place.
GIVE_BACK = (
    COMMON
    + """
if not held(ARGV[1], ARGV[2]) then return 0 end
requeue(ARGV[1])
return 1
"""
)

# ARGV: error for a job that lost too many leases. Answer: ids that were requeued, then ids that failed. A job that is
# to be canceled ends so.
RECOVER = (
    COMMON
    + f"""
local requeued, failed = {{}}, {{}}
for _, id in ipairs(redis.call('ZRANGE', '{LEASES}', '-inf', now(), 'BYSCORE', 'LIMIT', 0, 100)) do
  redis.call('ZREM', '{LEASES}', id)
  local state = redis.call('HMGET', key_of(id), 'status', 'cancel')
  if state[1] == 'running' then
    local lost = redis.call('HINCRBY', key_of(id), 'lost_leases', 1)
    if state[2] then
      finish(id, 'canceled')
    elseif lost >= {MAX_LOST_LEASES} then
      finish(id, 'failed', 'error', ARGV[1])
      table.insert(failed, id)
    else
      requeue(id)
      table.insert(requeued, id)
    end
  end
end
return {{requeued, failed}}
"""
)
