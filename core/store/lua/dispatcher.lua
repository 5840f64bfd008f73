-- What the dispatcher does: it counts free slots, recovers lost jobs, deletes expired ones, and
-- repairs what a crash left wrong.
-- include shared/transitions.lua
-- include shared/turns.lua
-- include shared/slots.lua
-- include shared/deletion.lua

local commands = {}

-- The kinds of idle workers by model, each with its number of slots.
local function free_slots(worker_life)
  local of_model = {}
  for _, kind in ipairs(call('SMEMBERS', C.SLOT_KINDS)) do
    call('ZREMRANGEBYSCORE', C.SLOTS .. kind, '-inf', now() - worker_life)
    local abilities, slots = abilities_of(kind), call('ZCARD', C.SLOTS .. kind)
    if slots == 0 then
      call('SREM', C.SLOT_KINDS, kind)
    else
      abilities.slots = slots
      of_model[abilities.model] = of_model[abilities.model] or {}
      table.insert(of_model[abilities.model], abilities)
    end
  end
  return of_model
end

-- How many idle workers of these kinds would find a job, each another one. A worker with a larger
-- limit also runs what one with a smaller limit runs, so the smallest limits are counted first.
local function count_matches(kinds)
  local matches = 0
  table.sort(kinds, function(one, other)
    return (tonumber(one.largest) or math.huge) < (tonumber(other.largest) or math.huge)
  end)
  for _, kind in ipairs(kinds) do
    matches = math.max(matches, count_turns(kind, matches + kind.slots))
  end
  return matches
end

-- How many further messages would find an idle worker and a job for it, by model: model, number,
-- model, … Messages for a model are in a list of their own, `queue` with its name behind a dot. A
-- job for no certain model counts for each model of the default engine.
function commands.count_missing(worker_life, queue)
  if not is_any_waiting() then return {} end
  local missing = {}
  for model, kinds in pairs(free_slots(worker_life)) do
    local list = queue .. (model == '' and '' or '.' .. model)
    table.insert(missing, model)
    table.insert(missing, math.max(0, count_matches(kinds) - call('LLEN', list)))
  end
  return missing
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

-- Forget tenants and demands without a waiting job. `prefix` of the given keys, each the tenants or
-- demands of a lane or line.
function commands.tidy(prefix, ...)
  for _, key in ipairs({...}) do
    local line = string.sub(key, #prefix + 1)
    for _, name in ipairs(call('SMEMBERS', key)) do
      if call('EXISTS', C.READY .. line .. ':' .. name) == 0 then call('SREM', key, name) end
    end
  end
end

-- Forget models that no worker offered within `memory`.
function commands.forget_models(memory)
  for _, model in ipairs(call('ZRANGE', C.OFFERED, '-inf', now() - memory, 'BYSCORE')) do
    call('ZREM', C.OFFERED, model)
    call('HDEL', C.OFFERS, model)
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
