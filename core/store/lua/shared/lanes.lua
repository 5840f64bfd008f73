-- The waiting jobs: in lanes by priority, best first; and how many are served before a given one.
-- include shared/records.lua

local function wake()
  if call('LLEN', C.WAKE) == 0 then call('LPUSH', C.WAKE, '1') end
end

-- A line is the part of a lane that waits for one model; for '' it is the whole lane.
local function line_of(priority, model) return priority .. (model == '' and '' or '@' .. model) end

-- Where a job waits: in its lane, among its tenant's jobs, among those of its tenant that ask the
-- same of a worker (model, record schema and canvas in pixels), and in the line of its model.
local function waiting_place(id)
  local job = call('HMGET', key_of(id), 'priority', 'tenant', 'schema', 'canvas_pixels', 'created',
    'for_model')
  local tenant, lane, model = job[2] or C.DEFAULT_TENANT, C.READY .. job[1], job[6] or ''
  local prefix = tenant .. ':' .. (model == '' and '' or model .. ':')
  local demand = prefix .. job[3] .. ':' .. (job[4] or 0)
  local sets, lines = {lane, lane .. ':' .. tenant, lane .. ':' .. demand}, {job[1]}
  if model ~= '' then
    local line = line_of(job[1], model)
    table.insert(lines, line)
    table.insert(sets, C.READY .. line)
    table.insert(sets, C.READY .. line .. ':' .. tenant)
  end
  return {sets = sets, lines = lines, tenant = tenant, demand = demand, since = job[5]}
end

local function note_waiting(place)
  call('SADD', C.DEMANDED .. place.lines[1], place.demand)
  for _, line in ipairs(place.lines) do call('SADD', C.WAITING .. line, place.tenant) end
end

local function enqueue(id)
  local place = waiting_place(id)
  for _, set in ipairs(place.sets) do call('ZADD', set, place.since, id) end
  note_waiting(place)
end

local function dequeue(id)
  local place = waiting_place(id)
  for _, set in ipairs(place.sets) do call('ZREM', set, id) end
  for _, line in ipairs(place.lines) do
    if call('EXISTS', C.READY .. line .. ':' .. place.tenant) == 0 then
      call('SREM', C.WAITING .. line, place.tenant)
    end
  end
  if call('EXISTS', place.sets[3]) == 0 then
    call('SREM', C.DEMANDED .. place.lines[1], place.demand)
  end
end

local function is_any_waiting() return call('EXISTS', unpack(C.READY_KEYS)) > 0 end

-- About how many jobs for a model, '' for any, are served before the one of this rank among its
-- tenant's: all of better lanes; those of its own tenant before it; and one of every other tenant
-- for each of these and for itself, while they have any.
local function ahead(priority, model, tenant, rank)
  local line, count = line_of(priority, model), rank
  for _, better in ipairs(C.PRIORITIES) do
    if better == priority then break end
    count = count + call('ZCARD', C.READY .. line_of(better, model))
  end
  local others = call('SCARD', C.WAITING .. line) - call('SISMEMBER', C.WAITING .. line, tenant)
  if others == 0 then return count end
  local theirs = call('ZCARD', C.READY .. line) - call('ZCARD', C.READY .. line .. ':' .. tenant)
  return count + math.min(theirs, others * (rank + 1))
end

-- The queue position of a job for a model or false, or -1 if its status is not `queued`.
local function position_of(id, tenant, status, priority, model)
  if status ~= 'queued' then return -1 end
  local of_tenant = C.READY .. line_of(priority, model or '') .. ':' .. tenant
  return ahead(priority, model or '', tenant, call('ZRANK', of_tenant, id) or 0)
end
