-- Whose turn it is: between lanes, between tenants, and within a tenant's jobs.
--
-- docs/decisions/0005 says why. Each look costs one read for every tenant and demand that waits,
-- however many jobs do.
-- include shared/transitions.lua

-- A meter is GPU time that its tenant used. A tenant that comes back after a pause begins where the
-- tenants being served now are: nothing is saved up meanwhile.
local function meter(tenant) return tonumber(call('HGET', C.METERS, tenant) or 0) end
local function clock() return tonumber(call('GET', C.CLOCK) or 0) end

-- Call when a tenant that neither waits nor runs submits a job.
local function begin_metering(tenant)
  if meter(tenant) < clock() then call('HSET', C.METERS, tenant, clock()) end
end

local function may_run(tenant) return tonumber(call('HGET', C.MAX_RUNNING, tenant) or math.huge) end

-- The tenant of this demand, if a worker of these abilities can run it, and its model: jobs of the
-- `newest` schema or the one before, of at most the `largest` canvas in pixels, '' for any, and for
-- the worker's `model` or one of its adapters, whose names follow behind commas. Jobs for no
-- certain model are for any of the default `engine`.
local function tenant_if_fitting(demand, worker)
  local tenant, model, schema, pixels = string.match(demand, '^([^:]+):(.-):?(%d+):(%d+)$')
  local newest, largest = tonumber(worker.newest), tonumber(worker.largest)
  local is_known = tonumber(schema) <= newest and tonumber(schema) >= newest - 1
  local is_small = not largest or tonumber(pixels) <= largest
  local is_for_it = string.find(',' .. worker.model .. ',', ',' .. model .. ',', 1, true)
  if model == '' then is_for_it = worker.model == '' or worker.engine == C.DEFAULT_ENGINE end
  return is_known and is_small and is_for_it and tenant, model
end

local function comes_before(one, other)
  for i = 1, #one do
    if one[i] ~= other[i] then return one[i] < other[i] end
  end
end

-- The first job of a lane: of the tenant with the fewest running jobs, then the lowest meter, the
-- job that waits longest. Hundreds of tenants may wait, so one that cannot come first any more
-- costs no further read.
local function first_of(priority, worker)
  local first, counts = nil, {}
  for _, demand in ipairs(call('SMEMBERS', C.DEMANDED .. priority)) do
    local tenant, model = tenant_if_fitting(demand, worker)
    local count = tenant and (counts[tenant] or running(tenant))
    if tenant and (not first or count <= first[1]) then
      local metered = meter(tenant)
      local may_come_first = not first or count < first[1] or metered <= first[2]
      if may_come_first and count < may_run(tenant) then
        local set = C.READY .. priority .. ':' .. demand
        local job = call('ZRANGE', set, 0, 0, 'WITHSCORES')
        local rank = job[1] and {count, metered, tonumber(job[2]), job[1], tenant, model, set}
        if rank and (not first or comes_before(rank, first)) then first = rank end
      end
    end
    if tenant then counts[tenant] = count end
  end
  return first
end

-- Whether this batch job goes before interactive work: once in BATCH_PATIENCE, for a tenant that
-- gets nothing otherwise.
local function has_waited_enough(job)
  local is_served, since, tenant, model = job[1] > 0, job[3], job[5], job[6]
  return not is_served and now() - since >= C.BATCH_PATIENCE
    and call('SISMEMBER', C.WAITING .. line_of('interactive', model), tenant) == 0
end

-- Each model has its own turns of batch work.
local function batch_turn_of(worker)
  return C.BATCH_TURN .. (worker.model == '' and '' or ':' .. worker.model)
end

-- The job whose turn it is at a worker of these abilities, as `first_of` returns it, or nil; and
-- whether it has the turn of batch work.
local function next_turn(worker)
  local job = first_of('interactive', worker)
  if not job or call('EXISTS', batch_turn_of(worker)) == 0 then
    local batch = first_of('batch', worker)
    if batch and (not job or has_waited_enough(batch)) then return batch, true end
  end
  return job, false
end

-- Take the turn: the id of the job and the set of its demand, or nil.
local function take_turn(worker)
  local job, is_batch = next_turn(worker)
  if not job then return nil end
  if is_batch then call('SET', batch_turn_of(worker), 1, 'PX', C.BATCH_PATIENCE) end
  call('SET', C.CLOCK, math.max(clock(), job[2]))
  return job[4], job[7]
end

-- How many waiting jobs a worker of these abilities can run now; counts up to `most`. Jobs that
-- wait because of their tenant's limit do not count.
local function count_turns(worker, most)
  local room, count = {}, 0
  for _, priority in ipairs(C.PRIORITIES) do
    for _, demand in ipairs(call('SMEMBERS', C.DEMANDED .. priority)) do
      local tenant = tenant_if_fitting(demand, worker)
      if tenant then
        room[tenant] = room[tenant] or math.max(0, may_run(tenant) - running(tenant))
        local jobs = math.min(call('ZCARD', C.READY .. priority .. ':' .. demand), room[tenant])
        room[tenant] = room[tenant] - jobs
        count = count + jobs
        if count >= most then return most end
      end
    end
  end
  return count
end
