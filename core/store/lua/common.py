"""What all Lua scripts share: the clock, waking the dispatcher, and the ways a job changes.

Time is Redis's own clock in every script, so no machine's clock decides about a lease. The scripts
reach the keys of jobs that they find on the way, which a Redis Cluster would refuse; the service
runs on one Redis.
"""

from core.records.request import Priority
from core.records.tenant import DEFAULT_TENANT
from core.store.keys import (
    CHANGES,
    CLOCK,
    DEMANDED,
    ENDED,
    EXPIRY,
    JOB,
    JOBS,
    LEASES,
    METERS,
    READY,
    READY_KEYS,
    TOTALS,
    USAGE,
    WAITING,
    WAKE,
)
from core.store.lua.webhook_events import EVENTS

LANES = "{'" + "', '".join(READY_KEYS) + "'}"
PRIORITIES = "{'" + "', '".join(Priority) + "'}"  # best first
DAY_MS = 86_400_000
TOLD = """{'id', 'tenant', 'request_id', 'traceparent', 'status', 'priority', 'attempts', 'lost_leases', 'created',
    'started', 'finished', 'timing', 'model', 'worker'}"""  # of a record, once it has ended
# ended jobs that no dispatcher has logged yet; where none lives, the oldest go unlogged
MAX_UNTOLD = 10_000
USAGE_DAYS = 400  # so long is known what a tenant used on a day: a year, and time to look at it

COMMON = f"""
local function now()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end
local function wake()
  if redis.call('LLEN', '{WAKE}') == 0 then redis.call('LPUSH', '{WAKE}', '1') end
end
local function key_of(id) return '{JOB}' .. id end
-- whose job it is; one that was made before there were tenants is the default tenant's
local function tenant_of(id) return redis.call('HGET', key_of(id), 'tenant') or '{DEFAULT_TENANT}' end
-- the status of this tenant's job, or nothing: another's is as absent as one that never was
local function status_for(tenant, id)
  local job = redis.call('HMGET', key_of(id), 'status', 'tenant')
  return (job[2] or '{DEFAULT_TENANT}') == tenant and job[1]
end
local function running(tenant) return redis.call('ZCARD', '{JOBS}' .. tenant .. ':running') end
{EVENTS}
-- whether the job is still this attempt's: everything that a worker writes goes through here. If so it answers status,
-- fence, and the further fields that are asked for
local function held(id, fence, ...)
  local job = redis.call('HMGET', key_of(id), 'status', 'fence', ...)
  return job[1] == 'running' and job[2] == fence and job
end
local function change(id, ...)
  redis.call('HSET', key_of(id), ...)
  redis.call('PUBLISH', '{CHANGES}', id .. ' ' .. redis.call('HINCRBY', key_of(id), 'version', 1))
end
local function move(id, status, ...)
  local index = '{JOBS}' .. tenant_of(id) .. ':'
  redis.call('ZREM', index .. redis.call('HGET', key_of(id), 'status'), id)
  redis.call('ZADD', index .. status, 0, id)
  change(id, 'status', status, ...)
end
-- where a job waits: in its lane, among its tenant's jobs, and among those of them that demand the same of a worker:
-- the record's schema, the canvas in pixels
local function waiting_place(id)
  local job = redis.call('HMGET', key_of(id), 'priority', 'tenant', 'schema', 'canvas_pixels', 'created')
  local tenant, lane = job[2] or '{DEFAULT_TENANT}', '{READY}' .. job[1]
  local demand = tenant .. ':' .. job[3] .. ':' .. (job[4] or 0)
  local sets = {{lane, lane .. ':' .. tenant, lane .. ':' .. demand}}
  return {{sets = sets, priority = job[1], tenant = tenant, demand = demand, since = job[5]}}
end
local function enqueue(id)
  local place = waiting_place(id)
  for _, set in ipairs(place.sets) do redis.call('ZADD', set, place.since, id) end
  redis.call('SADD', '{DEMANDED}' .. place.priority, place.demand)
  redis.call('SADD', '{WAITING}' .. place.priority, place.tenant)
end
local function dequeue(id)
  local place = waiting_place(id)
  for _, set in ipairs(place.sets) do redis.call('ZREM', set, id) end
  if redis.call('EXISTS', place.sets[2]) == 0 then redis.call('SREM', '{WAITING}' .. place.priority, place.tenant) end
  if redis.call('EXISTS', place.sets[3]) == 0 then redis.call('SREM', '{DEMANDED}' .. place.priority, place.demand) end
end
local function does_nobody_wait()
  return redis.call('EXISTS', {", ".join(f"'{lane}'" for lane in READY_KEYS)}) == 0
end
-- an attempt ends: the time for which it held a worker counts as its tenant's; time that nobody else wanted is no debt
local function charge(id)
  local job = redis.call('HMGET', key_of(id), 'started', 'tenant')
  if not job[1] then return end
  local tenant, at = job[2] or '{DEFAULT_TENANT}', now()
  local spent, usage = math.max(1, at - job[1]), '{USAGE}' .. tenant .. ':' .. math.floor(at / {DAY_MS})
  local metered = redis.call('HINCRBY', '{METERS}', tenant, spent)
  if does_nobody_wait() and metered > tonumber(redis.call('GET', '{CLOCK}') or 0) then
    redis.call('SET', '{CLOCK}', metered)
  end
  redis.call('INCRBY', usage, spent)
  redis.call('PEXPIRE', usage, {USAGE_DAYS * DAY_MS})
end
-- for a job's line in the log: the record itself may be deleted before that is written, and what the caller wrote and
-- drew goes with it
local function note_end(id, code)
  local names, facts = {TOLD}, {{'code', code}}
  for place, value in ipairs(redis.call('HMGET', key_of(id), unpack(names))) do
    if value then
      table.insert(facts, names[place])
      table.insert(facts, value)
    end
  end
  local whole, request = pcall(cjson.decode, redis.call('HGET', key_of(id), 'request') or '')
  for _, name in ipairs({{'width', 'height', 'steps'}}) do
    if whole and type(request) == 'table' and request[name] then
      table.insert(facts, name)
      table.insert(facts, request[name])
    end
  end
  redis.call('XADD', '{ENDED}', 'MAXLEN', '~', {MAX_UNTOLD}, '*', unpack(facts))
end
local function finish(id, status, ...)
  charge(id)
  move(id, status, 'finished', now(), 'progress', '', ...)
  local failure = status == 'failed' and redis.call('HGET', key_of(id), 'error')
  local code = failure and cjson.decode(failure).code or ''
  redis.call('HINCRBY', '{TOTALS}', 'ended:' .. status .. ':' .. code, 1)
  dequeue(id)
  redis.call('ZREM', '{LEASES}', id)
  redis.call('ZADD', '{EXPIRY}', redis.call('HGET', key_of(id), 'expires'), id)
  emit(id, status)
  note_end(id, code)
end
local function requeue(id)
  redis.call('ZREM', '{LEASES}', id)
  if redis.call('HGET', key_of(id), 'cancel') then return finish(id, 'canceled') end
  charge(id)
  redis.call('HDEL', key_of(id), 'started')
  move(id, 'queued', 'progress', '', 'requeued', now())
  enqueue(id)
  wake()
end
-- about how many jobs are served before the one of this rank among its tenant's: all of better lanes; those of its own
-- tenant before it; and one of every other tenant for each of these and itself, while they have any
local function ahead(priority, tenant, rank)
  local lane, count = '{READY}' .. priority, rank
  for _, better in ipairs({PRIORITIES}) do
    if better == priority then break end
    count = count + redis.call('ZCARD', '{READY}' .. better)
  end
  local waits = '{WAITING}' .. priority
  local others = redis.call('SCARD', waits) - redis.call('SISMEMBER', waits, tenant)
  if others == 0 then return count end
  local theirs = redis.call('ZCARD', lane) - redis.call('ZCARD', lane .. ':' .. tenant)
  return count + math.min(theirs, others * (rank + 1))
end
-- the place in the queue of a job of this status, or -1 where it does not wait
local function position_of(id, tenant, status, priority)
  if status ~= 'queued' then return -1 end
  return ahead(priority, tenant, redis.call('ZRANK', '{READY}' .. priority .. ':' .. tenant, id) or 0)
end
-- this tenant's record, and before it its place in the queue or -1; without a record where there is none for it
local function view(id, tenant)
  local job = redis.call('HMGET', key_of(id), 'status', 'priority', 'tenant')
  if (job[3] or '{DEFAULT_TENANT}') ~= tenant then return {{-1}} end
  local record = redis.call('HGETALL', key_of(id))
  table.insert(record, 1, position_of(id, tenant, job[1], job[2]))
  return record
end
"""
