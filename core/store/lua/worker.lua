-- What a worker does: it reports what it is, and takes, renews and ends attempts at jobs. Every
-- write about an attempt carries its fence and is refused once the job is no longer this attempt's.
-- include shared/transitions.lua
-- include shared/turns.lua
-- include shared/fence.lua
-- include shared/segments.lua
-- include shared/slots.lua

local commands = {}

-- A worker's sign of life. `life` of its record and of a hold on it, in milliseconds; then fields
-- of its record. Returns milliseconds that a worker asked to stop has left, or -1.
function commands.report(worker, life, hold_life, state, ...)
  local key, hold, at = C.WORKER .. worker, C.HOLD .. worker, now()
  if select('#', ...) > 0 then call('HSET', key, ...) end
  local known = call('HMGET', key, 'state', 'stop_at', 'started', 'serves', 'offer')
  local was, stop_at, kind = known[1], known[2], kind_of_worker(worker)
  local hold_state = call('HGET', hold, 'state')
  if hold_state then call('PEXPIRE', hold, hold_life) end
  if stop_at then
    state = 'stopping'
  elseif hold_state and state ~= 'busy' then
    state = hold_state
  end
  call('HSET', key, 'state', state, 'started', known[3] or at)
  call('PEXPIRE', key, life)
  call('ZADD', C.WORKERS, at, worker)
  if known[4] then
    call('HSET', C.OFFERS, known[4], known[5])
    call('ZADD', C.OFFERED, at, known[4])
  end
  if state == 'idle' then
    offer_slot(worker, kind, at)
    if was ~= 'idle' then wake() end  -- a slot became free
  elseif was == 'idle' then
    withdraw_slot(worker, kind)
  end
  return stop_at and math.max(0, stop_at - at) or -1
end

-- Tell the worker's other process to finish within the grace or give its job back.
function commands.ask_to_stop(worker, life, grace)
  withdraw_slot(worker, kind_of_worker(worker))
  call('HSET', C.WORKER .. worker, 'stop_at', now() + grace, 'state', 'stopping')
  call('PEXPIRE', C.WORKER .. worker, life)
end

-- Forget a worker that ended in order.
function commands.dismiss(worker)
  withdraw_slot(worker, kind_of_worker(worker))
  call('DEL', C.WORKER .. worker, C.HOLD .. worker)
  call('ZREM', C.WORKERS, worker)
end

local function quarantine(worker, hold_life, reason, ...)
  call('HSET', C.HOLD .. worker, 'state', 'quarantined', 'reason', reason, 'since', now(), ...)
  call('PEXPIRE', C.HOLD .. worker, hold_life)
end

-- The worker's device broke down while it had no job.
function commands.quarantine(worker, hold_life, reason) quarantine(worker, hold_life, reason) end

local function may_claim(worker)
  return call('EXISTS', C.PAUSED, C.HOLD .. worker) == 0
    and call('HEXISTS', C.WORKER .. worker, 'stop_at') == 0
end

-- Claim the job whose turn it is among those of the `newest` schema or the one before, of at most
-- the `largest` canvas in pixels, '' for any, and for this `model`, or for any of the default
-- engine if the worker's is that. Returns its record, or nothing.
function commands.claim(worker, lease, newest, largest, engine, model)
  if not may_claim(worker) then return {} end
  local abilities = {newest = newest, largest = largest, engine = engine, model = model}
  local id, set = take_turn(abilities)
  if not id then return {} end
  if call('HGET', key_of(id), 'status') ~= 'queued' then
    call('ZREM', set, id)  -- a process of a version that knows no models ended it
    wake()
    return {}
  end
  dequeue(id)
  call('HINCRBY', key_of(id), 'fence', 1)
  call('HINCRBY', key_of(id), 'attempts', 1)
  move(id, 'running', 'started', now(), 'worker', worker)
  call('ZADD', C.LEASES, now() + lease, id)
  emit(id, 'running')
  return call('HGETALL', key_of(id))
end

-- The record of the job that `claim` would take now, or nothing. Changes nothing.
function commands.peek(worker, newest, largest, engine, model)
  if not may_claim(worker) then return {} end
  local abilities = {newest = newest, largest = largest, engine = engine, model = model}
  local job = next_turn(abilities)
  return job and call('HGETALL', key_of(job[4])) or {}
end

-- Prolong the lease, with new progress or ''. Returns 'stale', 'canceled' if the job is to be
-- canceled, else 'held'.
function commands.renew(id, fence, lease, progress)
  local job = held(id, fence, 'cancel', 'webhook')
  if not job then return 'stale' end
  call('ZADD', C.LEASES, now() + lease, id)
  if progress ~= '' then
    change(id, 'progress', progress)
    if job[4] then emit(id, 'progress') end
  end
  return job[3] and 'canceled' or 'held'
end

-- A segment's frames of `bytes` are stored below the job. Returns nothing if the job is no longer
-- this attempt's, else 'held' and what is to be deleted to keep the tenant within its quota.
function commands.enter_segment(id, fence, digest, bytes, quota)
  if not held(id, fence) then return {} end
  return {'held', unpack(enter_segment(tenant_of(id), id, digest, bytes, quota))}
end

-- End a job in `status`, with fields for its record; `run` is what the run took or ''. Returns 1 if
-- the job was this attempt's, also when told twice. A job that is to be canceled ends as canceled,
-- whatever came out: its caller was told so.
function commands.finish(id, fence, status, run, ...)
  local job = call('HMGET', key_of(id), 'status', 'fence', 'cancel')
  if job[1] == status and job[2] == fence then return 1 end  -- the answer to the first try was lost
  if not held(id, fence) then return job[1] == 'canceled' and job[2] == fence and 1 or 0 end
  if job[3] and status ~= 'canceled' then
    finish(id, 'canceled')
  else
    finish(id, status, ...)
  end
  if run ~= '' then
    call('LPUSH', C.RUNS, run)
    call('LTRIM', C.RUNS, 0, C.KEPT_RUNS - 1)
  end
  wake()
  return 1
end

-- The worker shuts down in order or cannot read the job's images: the job waits again in its old
-- place, and the attempt does not count.
function commands.give_back(id, fence)
  if not held(id, fence) then return 0 end
  call('HINCRBY', key_of(id), 'attempts', -1)
  requeue(id)
  return 1
end

-- The process that ran the job is dead: its lease ends now, and the sweep that this wakes counts it
-- as lost.
function commands.end_lease(id, fence)
  if not held(id, fence) then return 0 end
  call('ZADD', C.LEASES, now() - 1, id)
  wake()
  return 1
end

-- The worker's device, at `place` (host and device), failed or hung under a job: the worker is
-- quarantined, and the job waits again without a lost lease. A job that broke devices at two places
-- is itself the cause: it fails with `failure`, and the workers that were quarantined for it alone
-- are released. Returns what became of the job: 'stale', 'queued', 'canceled' or 'failed'.
function commands.report_sick(id, fence, worker, place, reason, hold_life, forgiven_for, failure)
  -- Release only once within `forgiven_for`: two broken devices would fail one job after the other.
  local function release(name, at)
    if call('SET', C.FORGIVEN .. at, id, 'NX', 'PX', forgiven_for) then
      call('DEL', C.HOLD .. name)
    end
  end
  quarantine(worker, hold_life, reason, 'job', id)
  if not held(id, fence) then return 'stale' end
  local before = call('HMGET', key_of(id), 'sick_worker', 'sick_place')
  local attempts = call('HINCRBY', key_of(id), 'sick_attempts', 1)
  local is_elsewhere = before[2] and before[2] ~= place
  call('HSET', key_of(id), 'sick_worker', worker, 'sick_place', place)
  local is_the_cause = is_elsewhere or attempts >= C.MAX_SICK_ATTEMPTS
  if call('HGET', key_of(id), 'cancel') or not is_the_cause then
    requeue(id)
    return call('HGET', key_of(id), 'status')
  end
  finish(id, 'failed', 'error', failure)
  if is_elsewhere then
    if call('HGET', C.HOLD .. before[1], 'job') == id then release(before[1], before[2]) end
    release(worker, place)
  end
  wake()
  return 'failed'
end

return commands[ARGV[1]](unpack(ARGV, 2))
