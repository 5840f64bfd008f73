-- The waiting jobs: in lanes by priority, best first; and how many are served before a given one.
-- include shared/records.lua

local function wake()
  if call('LLEN', C.WAKE) == 0 then call('LPUSH', C.WAKE, '1') end
end

-- Where a job waits: in its lane, among its tenant's jobs, and among those of its tenant that ask
-- the same of a worker (record schema and canvas in pixels).
local function waiting_place(id)
  local job = call('HMGET', key_of(id), 'priority', 'tenant', 'schema', 'canvas_pixels', 'created')
  local tenant, lane = job[2] or C.DEFAULT_TENANT, C.READY .. job[1]
  local demand = tenant .. ':' .. job[3] .. ':' .. (job[4] or 0)
  local sets = {lane, lane .. ':' .. tenant, lane .. ':' .. demand}
  return {sets = sets, priority = job[1], tenant = tenant, demand = demand, since = job[5]}
end

local function note_waiting(place)
  call('SADD', C.DEMANDED .. place.priority, place.demand)
  call('SADD', C.WAITING .. place.priority, place.tenant)
end

local function enqueue(id)
  local place = waiting_place(id)
  for _, set in ipairs(place.sets) do call('ZADD', set, place.since, id) end
  note_waiting(place)
end

local function dequeue(id)
  local place = waiting_place(id)
  for _, set in ipairs(place.sets) do call('ZREM', set, id) end
  local _, of_tenant, of_demand = unpack(place.sets)
  if call('EXISTS', of_tenant) == 0 then
    call('SREM', C.WAITING .. place.priority, place.tenant)
  end
  if call('EXISTS', of_demand) == 0 then
    call('SREM', C.DEMANDED .. place.priority, place.demand)
  end
end

local function is_any_waiting() return call('EXISTS', unpack(C.READY_KEYS)) > 0 end

-- About how many jobs are served before the one of this rank among its tenant's: all of better
-- lanes; those of its own tenant before it; and one of every other tenant for each of these and for
-- itself, while they have any.
local function ahead(priority, tenant, rank)
  local lane, count = C.READY .. priority, rank
  for _, better in ipairs(C.PRIORITIES) do
    if better == priority then break end
    count = count + call('ZCARD', C.READY .. better)
  end
  local waits = C.WAITING .. priority
  local others = call('SCARD', waits) - call('SISMEMBER', waits, tenant)
  if others == 0 then return count end
  local theirs = call('ZCARD', lane) - call('ZCARD', lane .. ':' .. tenant)
  return count + math.min(theirs, others * (rank + 1))
end

-- The queue position of a job, or -1 if its status is not `queued`.
local function position_of(id, tenant, status, priority)
  if status ~= 'queued' then return -1 end
  return ahead(priority, tenant, call('ZRANK', C.READY .. priority .. ':' .. tenant, id) or 0)
end
