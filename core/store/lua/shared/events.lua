-- Webhook events: an event is made in the same step as the change that it reports.
-- include shared/records.lua

local function wake_deliverer()
  if call('LLEN', C.WAKE_DELIVERER) == 0 then call('LPUSH', C.WAKE_DELIVERER, '1') end
end

-- Queue an event at its receiver, and the receiver among those with something due.
local function deliver(receiver, event, at)
  call('ZADD', C.DUE_EVENTS .. receiver, at, event)
  call('ZADD', C.DUE_RECEIVERS, 'LT', at, receiver)
  wake_deliverer()
end

-- Whether the last progress event of this job is old enough for another one.
local function may_report_progress(id, at)
  local last = call('HGET', key_of(id), 'progress_told')
  if last and at - last < C.PROGRESS_EVERY then return false end
  call('HSET', key_of(id), 'progress_told', at)
  return true
end

-- Make an event for the change that was just written, if the job's webhook asks for it. The event
-- keeps a snapshot of the record.
local function emit(id, name)
  local stored = call('HGET', key_of(id), 'webhook')
  if not stored then return end
  local webhook, is_wanted, at = cjson.decode(stored), false, now()
  for _, event in ipairs(webhook.events) do is_wanted = is_wanted or event == name end
  if not is_wanted or (name == 'progress' and not may_report_progress(id, at)) then return end
  local version, tenant = call('HGET', key_of(id), 'version'), tenant_of(id)
  local event = C.EVENT_PREFIX .. string.sub(id, #C.JOB_ID_PREFIX + 1) .. '_' .. version
  local receiver = tenant .. ':' .. webhook.host
  local snapshot = cjson.encode(call('HGETALL', key_of(id)))
  call('HSET', C.DELIVERY .. event, 'id', event, 'job', id, 'version', version, 'name', name,
    'tenant', tenant, 'receiver', receiver, 'digest', webhook.digest, 'url', webhook.url,
    'created', at, 'state', 'pending', 'tries', 0, 'claims', 0, 'logged', 0, 'snapshot', snapshot)
  if name == 'progress' then
    call('PEXPIRE', C.DELIVERY .. event, C.PROGRESS_LIFE)
  else
    call('ZADD', C.DELIVERIES_OF .. id, version, event)
  end
  deliver(receiver, event, at)
end

local function forget_events(id)
  for _, event in ipairs(call('ZRANGE', C.DELIVERIES_OF .. id, 0, -1)) do
    local receiver = call('HGET', C.DELIVERY .. event, 'receiver')
    if receiver then call('ZREM', C.DUE_EVENTS .. receiver, event) end
    call('DEL', C.DELIVERY .. event)
  end
  call('DEL', C.DELIVERIES_OF .. id)
end
