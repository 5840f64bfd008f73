"""Lua scripts of the worker registry: who lives, what it holds, who takes no more jobs and why."""

from core.records.job import MAX_SICK_ATTEMPTS
from core.store.keys import FORGIVEN, HOLD, PAUSED, WORKER, WORKERS
from core.store.lua.common import COMMON, LANES
from core.store.lua.slots import SLOTS

# ARGV: name, life (ms), life of a hold (ms), state, then field, value, …  Answer: milliseconds that
# a worker asked to stop has left, or -1.
REPORT = (
    COMMON
    + SLOTS
    + f"""
local worker, key, hold, state, at = ARGV[1], '{WORKER}' .. ARGV[1], '{HOLD}' .. ARGV[1], ARGV[4], now()
if #ARGV > 4 then redis.call('HSET', key, unpack(ARGV, 5)) end
local known = redis.call('HMGET', key, 'state', 'stop_at', 'started', 'schema', 'max_canvas_pixels')
local was, stop_at, kind = known[1], known[2], kind_of(known[4], known[5])
local held = redis.call('HGET', hold, 'state')
if held then redis.call('PEXPIRE', hold, ARGV[3]) end
if stop_at then
  state = 'stopping'
elseif held and state ~= 'busy' then
  state = held
end
redis.call('HSET', key, 'state', state, 'started', known[3] or at)
redis.call('PEXPIRE', key, ARGV[2])
redis.call('ZADD', '{WORKERS}', at, worker)
if state == 'idle' then
  offer_slot(worker, kind, at)
  if was ~= 'idle' then wake() end  -- a slot became free
elseif was == 'idle' then
  withdraw_slot(worker, kind)
end
return stop_at and math.max(0, stop_at - at) or -1
"""
)

# ARGV: name, life (ms), grace (ms). Tells the worker's other process to finish within the grace or
# give its job back.
ASK_TO_STOP = (
    COMMON
    + SLOTS
    + f"""
local key = '{WORKER}' .. ARGV[1]
local known = redis.call('HMGET', key, 'schema', 'max_canvas_pixels')
withdraw_slot(ARGV[1], kind_of(known[1], known[2]))
redis.call('HSET', key, 'stop_at', now() + ARGV[3], 'state', 'stopping')
redis.call('PEXPIRE', key, ARGV[2])
return 1
"""
)

# ARGV: name. The worker is gone in order.
DISMISS = (
    COMMON
    + SLOTS
    + f"""
local known = redis.call('HMGET', '{WORKER}' .. ARGV[1], 'schema', 'max_canvas_pixels')
withdraw_slot(ARGV[1], kind_of(known[1], known[2]))
redis.call('DEL', '{WORKER}' .. ARGV[1], '{HOLD}' .. ARGV[1])
redis.call('ZREM', '{WORKERS}', ARGV[1])
return 1
"""
)

# ARGV: name, life of the hold (ms), reason. The worker's device broke down while it had no job.
QUARANTINE = (
    COMMON
    + f"""
local key = '{HOLD}' .. ARGV[1]
redis.call('HSET', key, 'state', 'quarantined', 'reason', ARGV[3], 'since', now())
redis.call('PEXPIRE', key, ARGV[2])
return 1
"""
)

# ARGV: name, life of the hold (ms). The worker ends its job and takes no other; one in quarantine
# stays there.
DRAIN = (
    COMMON
    + f"""
local key = '{HOLD}' .. ARGV[1]
redis.call('HSETNX', key, 'state', 'paused')
redis.call('HSETNX', key, 'reason', 'drained by an operator')
redis.call('HSETNX', key, 'since', now())
redis.call('PEXPIRE', key, ARGV[2])
return 1
"""
)

# Nobody claims until the queue goes on.
PAUSE_QUEUE = COMMON + f"return redis.call('SET', '{PAUSED}', now(), 'NX') and 1 or 0"
RESUME_QUEUE = COMMON + f"local was = redis.call('DEL', '{PAUSED}'); wake(); return was"

# ARGV: limit. Cancels so many waiting jobs, the best first. Answer: their ids.
PURGE = (
    COMMON
    + f"""
local ids = {{}}
for _, lane in ipairs({LANES}) do
  for _, id in ipairs(redis.call('ZRANGE', lane, 0, ARGV[1] - #ids - 1)) do
    finish(id, 'canceled')
    table.insert(ids, id)
  end
  if #ids >= tonumber(ARGV[1]) then break end
end
return ids
"""
)

# ARGV: id, fence, worker, its place (host and device), reason, life of a hold (ms), how long a
# verdict against a job speaks for a place (ms), error for a job that is to blame. The worker's
# device failed or hung: the worker is quarantined, and its job waits again without a lost lease. A
# job that did so at two places is to blame itself: it fails, and the workers that were quarantined
# for it alone go on. Answer: what became of the job: 'stale', 'queued', 'canceled' or 'failed'.
REPORT_SICK = (
    COMMON
    + f"""
local id, worker, place = ARGV[1], ARGV[3], ARGV[4]
local function quarantine(name)
  local key = '{HOLD}' .. name
  redis.call('HSET', key, 'state', 'quarantined', 'reason', ARGV[5], 'since', now(), 'job', id)
  redis.call('PEXPIRE', key, ARGV[6])
end
-- the job was to blame; but once only, else two broken devices would condemn one job after the other
local function forgive(name, at)
  if redis.call('SET', '{FORGIVEN}' .. at, id, 'NX', 'PX', ARGV[7]) then redis.call('DEL', '{HOLD}' .. name) end
end
quarantine(worker)
if not held(id, ARGV[2]) then return 'stale' end
local before = redis.call('HMGET', key_of(id), 'sick_worker', 'sick_place')
local attempts = redis.call('HINCRBY', key_of(id), 'sick_attempts', 1)
local elsewhere = before[2] and before[2] ~= place
redis.call('HSET', key_of(id), 'sick_worker', worker, 'sick_place', place)
if redis.call('HGET', key_of(id), 'cancel') or not (elsewhere or attempts >= {MAX_SICK_ATTEMPTS}) then
  requeue(id)
  return redis.call('HGET', key_of(id), 'status')
end
finish(id, 'failed', 'error', ARGV[8])
if elsewhere then
  if redis.call('HGET', '{HOLD}' .. before[1], 'job') == id then forgive(before[1], before[2]) end
  forgive(worker, place)
end
wake()
return 'failed'
"""
)
