"""Lua scripts of the deliverer and of those who look at its log.

A receiver is a tenant and a host. Its events wait in a set of their own, and the set of receivers
says for which there is something to do: so a thousand events of one that hangs stand in nobody's
way, and a claim costs a look at each receiver that is due.
"""

from core.records.webhook import (
    KEPT_ATTEMPTS,
    LEASE,
    MAX_IN_FLIGHT,
    MAX_IN_FLIGHT_FAILING,
    RECEIVER_MEMORY,
    SWITCH_OFF_AFTER,
    WebhookEvent,
)
from core.store import keys
from core.store.encoding import milliseconds
from core.store.lua.common import COMMON

# at which one script looks: about a millisecond of Redis's time
RECEIVERS_PER_CLAIM, EVENTS_PER_CLAIM = 100, 100
# until a tenant's receivers are looked at again, where it has as many attempts as it may
LATER_MILLISECONDS = 500
FAILING_MILLISECONDS = 10 * 60 * 1000

RECEIVERS = f"""
local function free_places(receiver)
  local most = redis.call('EXISTS', '{keys.FAILING}' .. receiver) == 1 and {MAX_IN_FLIGHT_FAILING} or {MAX_IN_FLIGHT}
  return most - redis.call('ZCARD', '{keys.FLYING}' .. receiver)
end
local function earliest(set)
  return tonumber(redis.call('ZRANGE', set, 0, 0, 'WITHSCORES')[2])
end
-- note when there is something to do for a receiver: an event is due and has a place, or a lease ends
local function reschedule(receiver)
  local due, lease_end = earliest('{keys.DUE_EVENTS}' .. receiver), earliest('{keys.FLYING}' .. receiver)
  if free_places(receiver) < 1 then due = nil end
  local at = math.min(due or math.huge, lease_end or math.huge)
  if at < math.huge then
    redis.call('ZADD', '{keys.DUE_RECEIVERS}', at, receiver)
  else
    redis.call('ZREM', '{keys.DUE_RECEIVERS}', receiver)
  end
end
local function address_of(tenant, digest) return '{keys.RECEIVER}' .. tenant .. ':' .. digest end
"""

# ARGV: how many, how many of one tenant, and by twos the tenants with attempts of this process
# under way and how many. Answer: the records of events that this process is to deliver, each under
# a lease. What a dead process left is due again; what goes to an address that is switched off is
# skipped, unless somebody asked for it. Where a tenant has as many as it may, its receivers are
# looked at later, so that those of others come into sight.
CLAIM_EVENTS = (
    COMMON
    + RECEIVERS
    + f"""
local claimed, limit, most, at = {{}}, tonumber(ARGV[1]), tonumber(ARGV[2]), now()
local of_tenant = {{}}
for i = 3, #ARGV, 2 do of_tenant[ARGV[i]] = tonumber(ARGV[i + 1]) end
local function take_back(receiver)
  for _, event in ipairs(redis.call('ZRANGE', '{keys.FLYING}' .. receiver, '-inf', at, 'BYSCORE')) do
    redis.call('ZREM', '{keys.FLYING}' .. receiver, event)
    redis.call('ZADD', '{keys.DUE_EVENTS}' .. receiver, at, event)
  end
end
local function is_off(key)
  local event = redis.call('HMGET', key, 'tenant', 'digest', 'forced')
  return not event[3] and redis.call('HEXISTS', address_of(event[1], event[2]), 'off') == 1
end
local function take(receiver, tenant, event)
  local key = '{keys.DELIVERY}' .. event
  redis.call('ZREM', '{keys.DUE_EVENTS}' .. receiver, event)
  if redis.call('EXISTS', key) == 0 then return end
  if is_off(key) then return redis.call('HSET', key, 'state', 'skipped') end
  redis.call('HINCRBY', key, 'claims', 1)
  redis.call('ZADD', '{keys.FLYING}' .. receiver, at + {milliseconds(LEASE)}, event)
  of_tenant[tenant] = (of_tenant[tenant] or 0) + 1
  table.insert(claimed, redis.call('HGETALL', key))
end
local due = redis.call('ZRANGE', '{keys.DUE_RECEIVERS}', '-inf', at, 'BYSCORE', 'LIMIT', 0, {RECEIVERS_PER_CLAIM})
for _, receiver in ipairs(due) do
  take_back(receiver)
  local waiting, tenant = '{keys.DUE_EVENTS}' .. receiver, string.match(receiver, '^[^:]*')
  for _, event in ipairs(redis.call('ZRANGE', waiting, '-inf', at, 'BYSCORE', 'LIMIT', 0, {EVENTS_PER_CLAIM})) do
    local may = #claimed < limit and (of_tenant[tenant] or 0) < most and free_places(receiver) > 0
    if may then take(receiver, tenant, event) end
  end
  reschedule(receiver)
  if (of_tenant[tenant] or 0) >= most then
    redis.call('ZADD', '{keys.DUE_RECEIVERS}', 'XX', 'GT', at + {LATER_MILLISECONDS}, receiver)
  end
end
return claimed
"""
)

# ARGV: event, number of its claim, attempt (JSON), `delivered`, `retry`, `failed` or `gone`, wait
# before the next one (ms). Answer: 1, or 0 where the claim is no longer this process's or the job
# was deleted.
SETTLE = (
    COMMON
    + RECEIVERS
    + f"""
local key, verdict, at = '{keys.DELIVERY}' .. ARGV[1], ARGV[4], now()
local event = redis.call('HMGET', key, 'claims', 'receiver', 'tenant', 'digest', 'name')
if event[1] ~= ARGV[2] then return 0 end
local receiver, address = event[2], address_of(event[3], event[4])
local function note_failure()
  redis.call('HSETNX', address, 'failing_since', at)
  local failing_for = at - redis.call('HGET', address, 'failing_since')
  if verdict == 'gone' then
    redis.call('HSETNX', address, 'off', at)
    redis.call('HSETNX', address, 'because', 'it answered 410')
  elseif failing_for >= {milliseconds(SWITCH_OFF_AFTER)} then
    redis.call('HSETNX', address, 'off', at)
    redis.call('HSETNX', address, 'because', 'it has failed for {SWITCH_OFF_AFTER.days} days')
  end
  redis.call('PEXPIRE', address, {milliseconds(RECEIVER_MEMORY)})
end
local function log_attempt()
  local number = redis.call('HINCRBY', key, 'logged', 1)
  redis.call('HSET', key, 'attempt:' .. number, ARGV[3])
  redis.call('HDEL', key, 'attempt:' .. number - {KEPT_ATTEMPTS})
end
redis.call('ZREM', '{keys.FLYING}' .. receiver, ARGV[1])
if verdict == 'delivered' then
  redis.call('DEL', '{keys.FAILING}' .. receiver, address)
else
  redis.call('SET', '{keys.FAILING}' .. receiver, 1, 'PX', {FAILING_MILLISECONDS})
end
if event[5] == '{WebhookEvent.PROGRESS}' then
  redis.call('DEL', key)
else
  if verdict ~= 'delivered' then note_failure() end
  log_attempt()
  if verdict == 'retry' then
    redis.call('HINCRBY', key, 'tries', 1)
    redis.call('ZADD', '{keys.DUE_EVENTS}' .. receiver, at + ARGV[5], ARGV[1])
  else
    redis.call('HSET', key, 'state', verdict == 'delivered' and verdict or 'failed')
    redis.call('HDEL', key, 'forced')
  end
end
reschedule(receiver)
wake_deliverer()
return 1
"""
)

# ARGV: job. Answer: of each event its record and, where it waits, when it is due (ms), else ''. The
# oldest first.
DELIVERIES = (
    COMMON
    + f"""
local found = {{}}
for _, event in ipairs(redis.call('ZRANGE', '{keys.DELIVERIES_OF}' .. ARGV[1], 0, -1)) do
  local record = redis.call('HGETALL', '{keys.DELIVERY}' .. event)
  local receiver = redis.call('HGET', '{keys.DELIVERY}' .. event, 'receiver')
  table.insert(found, {{record, redis.call('ZSCORE', '{keys.DUE_EVENTS}' .. receiver, event) or ''}})
end
return found
"""
)

# ARGV: event. It is due at once, with all attempts before it, even to an address that is switched
# off; one that is under way stays so. Answer: 1, or 0 where there is no such event.
REDELIVER = (
    COMMON
    + RECEIVERS
    + f"""
local key = '{keys.DELIVERY}' .. ARGV[1]
local receiver = redis.call('HGET', key, 'receiver')
if not receiver then return 0 end
if redis.call('ZSCORE', '{keys.FLYING}' .. receiver, ARGV[1]) then return 1 end
redis.call('HSET', key, 'state', 'pending', 'tries', 0, 'forced', 1)
deliver(receiver, ARGV[1], now())
return 1
"""
)

# ARGV: tenant, digest of a URL. Answer: since when (ms) and why it is switched off, or nothing.
LOOK_AT_ADDRESS = (
    COMMON
    + RECEIVERS
    + "return redis.call('HMGET', address_of(ARGV[1], ARGV[2]), 'off', 'because')"
)

# ARGV: tenant, host, digest of a URL. It has answered as it should: it is switched on, and its host
# has all its places.
SWITCH_ON = (
    COMMON
    + RECEIVERS
    + f"""
local receiver = ARGV[1] .. ':' .. ARGV[2]
local was_off = redis.call('HEXISTS', address_of(ARGV[1], ARGV[3]), 'off')
redis.call('DEL', address_of(ARGV[1], ARGV[3]), '{keys.FAILING}' .. receiver)
reschedule(receiver)
return was_off
"""
)

# Answer: events that wait, those of them that are due, attempts under way, when the oldest due
# event was due (ms) or 0, now (ms).
BACKLOG = (
    COMMON
    + f"""
local waiting, due, flying, oldest, at = 0, 0, 0, 0, now()
for _, receiver in ipairs(redis.call('ZRANGE', '{keys.DUE_RECEIVERS}', 0, -1)) do
  local set = '{keys.DUE_EVENTS}' .. receiver
  local first = tonumber(redis.call('ZRANGE', set, 0, 0, 'WITHSCORES')[2])
  waiting = waiting + redis.call('ZCARD', set)
  due = due + redis.call('ZCOUNT', set, '-inf', at)
  flying = flying + redis.call('ZCARD', '{keys.FLYING}' .. receiver)
  if first and first <= at and (oldest == 0 or first < oldest) then oldest = first end
end
return {{waiting, due, flying, oldest, at}}
"""
)
