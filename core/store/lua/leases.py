"""Lua scripts behind an attempt at a job: claim, renew, finish, give back, and the return of what
was lost.
"""

from core.records.job import MAX_LOST_LEASES
from core.store.forecast import KEPT_RUNS
from core.store.keys import HOLD, LEASES, PAUSED, RUNS, WORKER
from core.store.lua.common import COMMON
from core.store.lua.fair_share import TURNS

# ARGV: worker, lease (ms), newest schema that it knows, largest canvas that it takes (pixels) or
# ''. Answer: the record of the job whose turn it is among those that it can run, now running, or
# nothing.
CLAIM = (
    COMMON
    + TURNS
    + f"""
if redis.call('EXISTS', '{PAUSED}', '{HOLD}' .. ARGV[1]) > 0 then return {{}} end
if redis.call('HEXISTS', '{WORKER}' .. ARGV[1], 'stop_at') == 1 then return {{}} end
local id = take_turn(ARGV[3], ARGV[4])
if not id then return {{}} end
dequeue(id)
redis.call('HINCRBY', key_of(id), 'fence', 1)
redis.call('HINCRBY', key_of(id), 'attempts', 1)
move(id, 'running', 'started', now(), 'worker', ARGV[1])
redis.call('ZADD', '{LEASES}', now() + ARGV[2], id)
emit(id, 'running')
return redis.call('HGETALL', key_of(id))
"""
)

# ARGV: newest schema, largest canvas (pixels) or ''. Answer: how many jobs wait that a worker of
# these limits can run now; what its tenant's limit lets wait does not count.
COUNT_READY = COMMON + TURNS + "return count_turns(ARGV[1], ARGV[2], math.huge)"

# ARGV: id, fence, lease (ms), progress or ''. Answer: 0 if the job is no longer this attempt's, 2
# if it is to be canceled, else 1.
RENEW = (
    COMMON
    + f"""
local job = held(ARGV[1], ARGV[2], 'cancel', 'webhook')
if not job then return 0 end
redis.call('ZADD', '{LEASES}', now() + ARGV[3], ARGV[1])
if ARGV[4] ~= '' then
  change(ARGV[1], 'progress', ARGV[4])
  if job[4] then emit(ARGV[1], 'progress') end
end
return job[3] and 2 or 1
"""
)

# ARGV: id, fence, final status, what the run took or '', then field, value, …  Answer: 1 if it was
# this attempt's, even if told twice. A job that is to be canceled ends so, whatever came out: its
# caller was told.
FINISH = (
    COMMON
    + f"""
local id, status = ARGV[1], ARGV[3]
local state = redis.call('HMGET', key_of(id), 'status', 'fence', 'cancel')
if state[1] == status and state[2] == ARGV[2] then return 1 end  -- the answer to the first try was lost
if not held(id, ARGV[2]) then return state[1] == 'canceled' and state[2] == ARGV[2] and 1 or 0 end
if state[3] and status ~= 'canceled' then
  finish(id, 'canceled')
else
  finish(id, status, unpack(ARGV, 5))
end
if ARGV[4] ~= '' then
  redis.call('LPUSH', '{RUNS}', ARGV[4])
  redis.call('LTRIM', '{RUNS}', 0, {KEPT_RUNS - 1})
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

# ARGV: id, fence. Whoever ran the job is dead: the lease ends now, and the next sweep, which this
# brings about, counts it as lost.
END_LEASE = (
    COMMON
    + f"""
if not held(ARGV[1], ARGV[2]) then return 0 end
redis.call('ZADD', '{LEASES}', now() - 1, ARGV[1])
wake()
return 1
"""
)

# ARGV: error for a job that lost too many leases. Answer: ids that were requeued, ids that failed,
# and the record of each lost attempt as it was. A job that is to be canceled ends so.
RECOVER = (
    COMMON
    + f"""
local requeued, failed, lost_attempts = {{}}, {{}}, {{}}
for _, id in ipairs(redis.call('ZRANGE', '{LEASES}', '-inf', now(), 'BYSCORE', 'LIMIT', 0, 100)) do
  redis.call('ZREM', '{LEASES}', id)
  local state = redis.call('HMGET', key_of(id), 'status', 'cancel')
  if state[1] == 'running' then
    local lost = redis.call('HINCRBY', key_of(id), 'lost_leases', 1)
    table.insert(lost_attempts, redis.call('HGETALL', key_of(id)))
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
return {{requeued, failed, lost_attempts}}
"""
)
