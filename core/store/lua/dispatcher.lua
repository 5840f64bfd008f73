-- What the dispatcher does: it counts free slots, recovers lost jobs, deletes expired ones, and
-- repairs what a crash left wrong.
-- include shared/transitions.lua
-- include shared/turns.lua
-- include shared/slots.lua
-- include shared/deletion.lua

local commands = {}

-- How many further messages would find an idle worker and a job for it, each another one; `queue`
-- is the key of the list of messages. A worker with a larger limit also runs what one with a
-- smaller limit runs, so workers with the smallest limits are counted first.
function commands.count_missing(worker_life, queue)
  if not is_any_waiting() then return 0 end
  local kinds, matches = {}, 0
  for _, kind in ipairs(call('SMEMBERS', C.IDLE_KINDS)) do
    call('ZREMRANGEBYSCORE', C.IDLE .. kind, '-inf', now() - worker_life)
    local schema, largest = string.match(kind, '^(%d+):(%d*)$')
    table.insert(kinds, {slots = call('ZCARD', C.IDLE .. kind), schema = schema, largest = largest})
    if kinds[#kinds].slots == 0 then call('SREM', C.IDLE_KINDS, kind) end
  end
  table.sort(kinds, function(one, other)
    return (tonumber(one.largest) or math.huge) < (tonumber(other.largest) or math.huge)
  end)
  for _, kind in ipairs(kinds) do
    local most = matches + kind.slots
    if kind.slots > 0 then
      matches = math.max(matches, count_turns(kind.schema, kind.largest, most))
    end
  end
  return math.max(0, matches - call('LLEN', queue))
end

-- Forget dead workers, and offer the slot of each idle one: a worker of another version of the
-- service may not have done so itself.
function commands.recount(worker_life)
  call('ZREMRANGEBYSCORE', C.WORKERS, '-inf', now() - worker_life)
  local names = call('ZRANGE', C.WORKERS, 0, -1, 'WITHSCORES')
  for i = 1, #names, 2 do
    if call('HGET', C.WORKER .. names[i], 'state') == 'idle' then
      offer_slot(names[i], kind_of_worker(names[i]), names[i + 1])
    end
  end
end

-- Take back jobs whose leases ended; `failure` is the error of a job that lost too many. Returns
-- ids that were requeued, ids that failed, and the record of each lost attempt as it was.
function commands.recover(failure)
  local requeued, failed, lost_attempts = {}, {}, {}
  for _, id in ipairs(call('ZRANGE', C.LEASES, '-inf', now(), 'BYSCORE', 'LIMIT', 0, 100)) do
    call('ZREM', C.LEASES, id)
    local job = call('HMGET', key_of(id), 'status', 'cancel')
    if job[1] == 'running' then
      local lost = call('HINCRBY', key_of(id), 'lost_leases', 1)
      table.insert(lost_attempts, call('HGETALL', key_of(id)))
      if job[2] then
        finish(id, 'canceled')
      elseif lost >= C.MAX_LOST_LEASES then
        finish(id, 'failed', 'error', failure)
        table.insert(failed, id)
      else
        requeue(id)
        table.insert(requeued, id)
      end
    end
  end
  return {requeued, failed, lost_attempts}
end

-- Move ended jobs and unused uploads past their time to the trash. Returns ids in the trash that
-- are due.
function commands.sweep_expired(limit)
  local function due(set)
    return call('ZRANGE', set, '-inf', now(), 'BYSCORE', 'LIMIT', 0, limit)
  end
  for _, id in ipairs(due(C.EXPIRY)) do forget_job(id) end
  for _, id in ipairs(due(C.UPLOADS)) do
    forget_upload(id)
    call('ZADD', C.TRASH, now(), id)
  end
  return due(C.TRASH)
end

-- The sets to which a job belongs by its record, each with its score.
local function places_of(id, status, expires, lease)
  local index = C.JOBS .. tenant_of(id)
  local places = {[index] = 0, [index .. ':' .. status] = 0}
  if status == 'queued' then
    local place = waiting_place(id)
    for _, set in ipairs(place.sets) do places[set] = place.since end
    note_waiting(place)
  elseif status == 'running' then
    places[C.LEASES] = now() + lease
  else
    places[C.EXPIRY] = expires
  end
  return places
end

-- Put each job into the sets to which it belongs by its record, and out of the set `found_in` (or
-- '') if it does not belong there. Leaves records in a state alone that this version does not know.
-- Returns for each repair id, 'missing' or 'misplaced', and the set.
function commands.reconcile(lease, found_in, ...)
  local repairs = {}
  local function note(...)
    for _, fact in ipairs({...}) do table.insert(repairs, fact) end
  end
  local function reconcile(id)
    local job = call('HMGET', key_of(id), 'status', 'expires')
    if job[1] and not C.TRANSITIONS[job[1]] then return end
    local places = job[1] and places_of(id, job[1], job[2], lease) or {}
    for set, score in pairs(places) do
      if call('ZADD', set, 'NX', score, id) == 1 then note(id, 'missing', set) end
    end
    if found_in ~= '' and not places[found_in] and call('ZREM', found_in, id) == 1 then
      note(id, 'misplaced', found_in)
    end
  end
  for _, id in ipairs({...}) do reconcile(id) end
  if #repairs > 0 then wake() end
  return repairs
end

-- Forget tenants and demands without a waiting job.
function commands.tidy()
  for _, priority in ipairs(C.PRIORITIES) do
    for _, names in ipairs({C.DEMANDED, C.WAITING}) do
      for _, name in ipairs(call('SMEMBERS', names .. priority)) do
        if call('EXISTS', C.READY .. priority .. ':' .. name) == 0 then
          call('SREM', names .. priority, name)
        end
      end
    end
  end
end

-- Put ids without a record into the trash, so that their objects are deleted. Returns those.
function commands.condemn(record_prefix, ...)
  local condemned = {}
  for _, id in ipairs({...}) do
    local is_unknown = call('EXISTS', record_prefix .. id) == 0
    if is_unknown and call('ZADD', C.TRASH, 'NX', now(), id) == 1 then
      table.insert(condemned, id)
    end
  end
  return condemned
end

return commands[ARGV[1]](unpack(ARGV, 2))
