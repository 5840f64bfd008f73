"""The part of all Lua scripts that tells a job's webhook of a change: the event is made in the step
that it tells of.

It stands inside `core.store.lua.common`, after the clock, `key_of` and `tenant_of`.
"""

from core.records.ids import JOB_ID_PREFIX
from core.records.webhook import EVENT_PREFIX, PROGRESS_EVERY, PROGRESS_LIFE, WebhookEvent
from core.store import keys
from core.store.encoding import milliseconds

EVENTS = f"""
local function wake_deliverer()
  if redis.call('LLEN', '{keys.WAKE_DELIVERER}') == 0 then redis.call('LPUSH', '{keys.WAKE_DELIVERER}', '1') end
end
-- an event waits at its receiver, and the receiver among all
local function deliver(receiver, event, at)
  redis.call('ZADD', '{keys.DUE_EVENTS}' .. receiver, at, event)
  redis.call('ZADD', '{keys.DUE_RECEIVERS}', 'LT', at, receiver)
  wake_deliverer()
end
-- whether news of progress are due, which are told only so often
local function may_tell_progress(id, at)
  local last = redis.call('HGET', key_of(id), 'progress_told')
  if last and at - last < {milliseconds(PROGRESS_EVERY)} then return false end
  redis.call('HSET', key_of(id), 'progress_told', at)
  return true
end
-- tells the job's webhook of the change that was just made; the event keeps the job as it is now
local function emit(id, name)
  local stored = redis.call('HGET', key_of(id), 'webhook')
  if not stored then return end
  local webhook, wanted, at = cjson.decode(stored), false, now()
  for _, event in ipairs(webhook.events) do wanted = wanted or event == name end
  if not wanted or (name == '{WebhookEvent.PROGRESS}' and not may_tell_progress(id, at)) then return end
  local version, tenant = redis.call('HGET', key_of(id), 'version'), tenant_of(id)
  local event = '{EVENT_PREFIX}' .. string.sub(id, {len(JOB_ID_PREFIX) + 1}) .. '_' .. version
  local receiver = tenant .. ':' .. webhook.host
  local snapshot = cjson.encode(redis.call('HGETALL', key_of(id)))
  redis.call('HSET', '{keys.DELIVERY}' .. event, 'id', event, 'job', id, 'version', version, 'name', name,
    'tenant', tenant, 'receiver', receiver, 'digest', webhook.digest, 'url', webhook.url, 'created', at,
    'state', 'pending', 'tries', 0, 'claims', 0, 'logged', 0, 'snapshot', snapshot)
  if name == '{WebhookEvent.PROGRESS}' then
    redis.call('PEXPIRE', '{keys.DELIVERY}' .. event, {milliseconds(PROGRESS_LIFE)})
  else
    redis.call('ZADD', '{keys.DELIVERIES_OF}' .. id, version, event)
  end
  deliver(receiver, event, at)
end
local function forget_events(id)
  for _, event in ipairs(redis.call('ZRANGE', '{keys.DELIVERIES_OF}' .. id, 0, -1)) do
    local receiver = redis.call('HGET', '{keys.DELIVERY}' .. event, 'receiver')
    if receiver then redis.call('ZREM', '{keys.DUE_EVENTS}' .. receiver, event) end
    redis.call('DEL', '{keys.DELIVERY}' .. event)
  end
  redis.call('DEL', '{keys.DELIVERIES_OF}' .. id)
end
"""
