"""Keys and Lua scripts of the job store: every change of a job is one script, so it happens whole or not at all.

| key | type | content | lifetime |
| --- | --- | --- | --- |
| `tc:job:{id}` | hash | the record, one field per part, JSON inside | until it expires |
| `tc:jobs` | sorted set | all ids, score = created (ms) | with the record |
| `tc:ready:{priority}` | sorted set | jobs that wait, score = created (ms) | while queued |
| `tc:leases` | sorted set | running jobs, score = end of the lease (ms) | while running |
| `tc:expiry` | sorted set | ended jobs, score = expires (ms) | until deleted |
| `tc:wake` | list | wakes the dispatcher; holds at most one element | until read |
| `tc:worker:{name}` | hash | what a live worker holds and does | 10 s, renewed each second |
| `tc:workers` | sorted set | names of workers, score = last sign of life (ms) | pruned by the dispatcher |
| `tc:dispatcher` | string | name of the leading dispatcher | 3 s, renewed each second |
| `tc:celery…`, `tc:unacked…`, `tc:_kombu…` | | Celery's own, under the same prefix | |

Time is Redis's own clock in every script, so no machine's clock decides about a lease. The scripts reach the keys of
jobs that they find on the way, which a Redis Cluster would refuse; the service runs on one Redis.
"""

from core.job import MAX_LOST_LEASES, SCHEMA_VERSION, Priority

PREFIX = "tc:"
JOB = PREFIX + "job:"
JOBS = PREFIX + "jobs"
READY = PREFIX + "ready:"
LEASES = PREFIX + "leases"
EXPIRY = PREFIX + "expiry"
WAKE = PREFIX + "wake"
WORKER = PREFIX + "worker:"
WORKERS = PREFIX + "workers"
DISPATCHER = PREFIX + "dispatcher"
READY_KEYS = [READY + priority.value for priority in Priority]  # best first

_COMMON = f"""
local function now()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end
local function wake()
  if redis.call('LLEN', '{WAKE}') == 0 then redis.call('LPUSH', '{WAKE}', '1') end
end
-- the job is still this attempt's: everything that a worker writes goes through here
local function held(key, fence)
  local state = redis.call('HMGET', key, 'status', 'fence')
  return state[1] == 'running' and state[2] == fence
end
local function change(key, ...)
  redis.call('HSET', key, ...)
  redis.call('HINCRBY', key, 'version', 1)
end
local function enqueue(key, id)
  local job = redis.call('HMGET', key, 'priority', 'created')
  redis.call('ZADD', '{READY}' .. job[1], job[2], id)
end
local function finish(key, id, at, ...)
  change(key, 'finished', at, 'progress', '', ...)
  redis.call('ZREM', '{LEASES}', id)
  redis.call('ZADD', '{EXPIRY}', redis.call('HGET', key, 'expires'), id)
end
"""

# ARGV: id, time to live (ms), priority, then field, value, …  Answer: the record.
SUBMIT = (
    _COMMON
    + f"""
local id, key, at = ARGV[1], '{JOB}' .. ARGV[1], now()
redis.call('HSET', key, 'schema', {SCHEMA_VERSION}, 'id', id, 'status', 'queued', 'version', 1, 'created', at,
  'expires', at + ARGV[2], 'priority', ARGV[3], 'attempts', 0, 'lost_leases', 0, 'fence', 0, unpack(ARGV, 4))
redis.call('ZADD', '{JOBS}', at, id)
enqueue(key, id)
wake()
return redis.call('HGETALL', key)
"""
)

# ARGV: worker, lease (ms). Answer: the record of the best ready job, now running, or nothing.
CLAIM = (
    _COMMON
    + f"""
for _, ready in ipairs({{'{"', '".join(READY_KEYS)}'}}) do
  while true do
    local id = redis.call('ZPOPMIN', ready)[1]
    if not id then break end
    local key = '{JOB}' .. id
    if redis.call('HGET', key, 'status') == 'queued' then
      redis.call('HINCRBY', key, 'fence', 1)
      redis.call('HINCRBY', key, 'attempts', 1)
      change(key, 'status', 'running', 'started', now(), 'worker', ARGV[1])
      redis.call('ZADD', '{LEASES}', now() + ARGV[2], id)
      return redis.call('HGETALL', key)
    end
  end
end
return {{}}
"""
)

# ARGV: id, fence, lease (ms), progress or ''. Answer: 1 while the job is this attempt's.
RENEW = (
    _COMMON
    + f"""
local key = '{JOB}' .. ARGV[1]
if not held(key, ARGV[2]) then return 0 end
redis.call('ZADD', '{LEASES}', now() + ARGV[3], ARGV[1])
if ARGV[4] ~= '' then change(key, 'progress', ARGV[4]) end
return 1
"""
)

# ARGV: id, fence, 'status', final status, then field, value, …  Answer: 1 if it was this attempt's, even if told twice.
FINISH = (
    _COMMON
    + f"""
local key = '{JOB}' .. ARGV[1]
local state = redis.call('HMGET', key, 'status', 'fence')
if state[1] == ARGV[4] and state[2] == ARGV[2] then return 1 end  -- the answer to the first try was lost
if not held(key, ARGV[2]) then return 0 end
finish(key, ARGV[1], now(), unpack(ARGV, 3))
wake()
return 1
"""
)

# ARGV: id, fence. The worker shuts down in order: the job waits again, in its old place.
GIVE_BACK = (
    _COMMON
    + f"""
local key = '{JOB}' .. ARGV[1]
if not held(key, ARGV[2]) then return 0 end
change(key, 'status', 'queued', 'progress', '')
redis.call('ZREM', '{LEASES}', ARGV[1])
enqueue(key, ARGV[1])
wake()
return 1
"""
)

# ARGV: error for a job that lost too many leases. Answer: ids that were requeued, then ids that failed.
RECOVER = (
    _COMMON
    + f"""
local requeued, failed, at = {{}}, {{}}, now()
for _, id in ipairs(redis.call('ZRANGE', '{LEASES}', '-inf', at, 'BYSCORE', 'LIMIT', 0, 100)) do
  local key = '{JOB}' .. id
  redis.call('ZREM', '{LEASES}', id)
  if redis.call('HGET', key, 'status') == 'running' then
    if redis.call('HINCRBY', key, 'lost_leases', 1) >= {MAX_LOST_LEASES} then
      finish(key, id, at, 'status', 'failed', 'error', ARGV[1])
      table.insert(failed, id)
    else
      change(key, 'status', 'queued', 'progress', '')
      enqueue(key, id)
      table.insert(requeued, id)
    end
  end
end
return {{requeued, failed}}
"""
)

# ARGV: id. Forgets an ended job whose objects are gone.
FORGET = f"""
redis.call('DEL', '{JOB}' .. ARGV[1])
redis.call('ZREM', '{JOBS}', ARGV[1])
redis.call('ZREM', '{EXPIRY}', ARGV[1])
return 1
"""

# ARGV: name, life (ms), then field, value, …  Answer: milliseconds that a worker asked to stop has left, or -1.
REPORT = (
    _COMMON
    + f"""
local key = '{WORKER}' .. ARGV[1]
if #ARGV > 2 then redis.call('HSET', key, unpack(ARGV, 3)) end
local stop_at = redis.call('HGET', key, 'stop_at')
if stop_at then
  redis.call('HSET', key, 'state', 'stopping')
elseif redis.call('HGET', key, 'state') == 'idle' then
  wake()  -- a free slot is news for the dispatcher
end
redis.call('PEXPIRE', key, ARGV[2])
redis.call('ZADD', '{WORKERS}', now(), ARGV[1])
return stop_at and math.max(0, stop_at - now()) or -1
"""
)

# ARGV: name, life (ms), grace (ms). Tells the worker's other process to finish within the grace or give its job back.
ASK_TO_STOP = (
    _COMMON
    + f"""
local key = '{WORKER}' .. ARGV[1]
redis.call('HSET', key, 'stop_at', now() + ARGV[3], 'state', 'stopping')
redis.call('PEXPIRE', key, ARGV[2])
return 1
"""
)
