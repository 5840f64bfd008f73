-- Change the state of jobs. Every change passes through `move`, with two exceptions: `submit` in
-- gateway.lua creates a job, and `forget_job` in deletion.lua removes one.
-- include shared/lanes.lua
-- include shared/events.lua

local MAX_UNLOGGED = 10000  -- ended jobs without a line in the log; the oldest beyond it get none
local DAY = 86400000  -- milliseconds

local function is_final(status) return next(C.TRANSITIONS[status]) == nil end
local function running(tenant) return call('ZCARD', C.JOBS .. tenant .. ':running') end

-- Change fields of a record and tell waiting clients.
local function change(id, ...)
  call('HSET', key_of(id), ...)
  call('PUBLISH', C.CHANGES, id .. ' ' .. call('HINCRBY', key_of(id), 'version', 1))
end

-- Put a job into another state, along one of the transitions of `core.records.job`.
local function move(id, status, ...)
  local was = call('HGET', key_of(id), 'status')
  if not (C.TRANSITIONS[was] or {})[status] then
    error('no transition from ' .. tostring(was) .. ' to ' .. status)
  end
  local index = C.JOBS .. tenant_of(id) .. ':'
  call('ZREM', index .. was, id)
  call('ZADD', index .. status, 0, id)
  change(id, 'status', status, ...)
end

-- Count the time for which an attempt held a worker as its tenant's. The meters decide about turns:
-- time that no other tenant wanted is not held against a tenant.
local function charge(id)
  local job = call('HMGET', key_of(id), 'started', 'tenant')
  if not job[1] then return end
  local tenant, at = job[2] or C.DEFAULT_TENANT, now()
  local spent, usage = math.max(1, at - job[1]), C.USAGE .. tenant .. ':' .. math.floor(at / DAY)
  local metered = call('HINCRBY', C.METERS, tenant, spent)
  if not is_any_waiting() and metered > tonumber(call('GET', C.CLOCK) or 0) then
    call('SET', C.CLOCK, metered)
  end
  call('INCRBY', usage, spent)
  call('PEXPIRE', usage, C.USAGE_LIFE)
end

-- Keep what the log will say of an ended job: the record may be deleted before the line is written.
-- Nothing that the caller wrote or drew is kept.
local function note_end(id, code)
  local names = {'id', 'tenant', 'request_id', 'traceparent', 'status', 'priority', 'attempts',
    'lost_leases', 'created', 'started', 'finished', 'timing', 'model', 'worker'}
  local facts = {'code', code}
  local function add(name, value)
    if value then
      table.insert(facts, name)
      table.insert(facts, value)
    end
  end
  for place, value in ipairs(call('HMGET', key_of(id), unpack(names))) do
    add(names[place], value)
  end
  local is_whole, request = pcall(cjson.decode, call('HGET', key_of(id), 'request') or '')
  if is_whole and type(request) == 'table' then
    for _, name in ipairs({'width', 'height', 'steps'}) do add(name, request[name]) end
  end
  call('XADD', C.ENDED, 'MAXLEN', '~', MAX_UNLOGGED, '*', unpack(facts))
end

-- End a job, with further fields for its record.
local function finish(id, status, ...)
  move(id, status, 'finished', now(), 'progress', '', ...)
  charge(id)
  local failure = status == 'failed' and call('HGET', key_of(id), 'error')
  local code = failure and cjson.decode(failure).code or ''
  call('HINCRBY', C.TOTALS, 'ended:' .. status .. ':' .. code, 1)
  dequeue(id)
  call('ZREM', C.LEASES, id)
  call('ZADD', C.EXPIRY, call('HGET', key_of(id), 'expires'), id)
  emit(id, status)
  note_end(id, code)
end

-- Let a running job wait again in its old place; one that is to be canceled ends instead.
local function requeue(id)
  if call('HGET', key_of(id), 'cancel') then return finish(id, 'canceled') end
  move(id, 'queued', 'progress', '', 'requeued', now())
  charge(id)
  call('HDEL', key_of(id), 'started')
  call('ZREM', C.LEASES, id)
  enqueue(id)
  wake()
end
