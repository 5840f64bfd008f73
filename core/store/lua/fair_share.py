"""Lua that decides whose turn it is: between lanes, between tenants, and within a tenant's jobs.

docs/decisions/0005 says why. Each look costs one read for every tenant and demand that waits,
however many jobs do.
"""

from datetime import timedelta

from core.records.request import Priority
from core.store.encoding import milliseconds
from core.store.keys import BATCH_TURN, CLOCK, DEMANDED, MAX_RUNNING, METERS, READY, WAITING
from core.store.lua.common import PRIORITIES

# so long interactive work may keep all batch work of other tenants waiting
BATCH_PATIENCE = timedelta(minutes=1)

# A meter is GPU time that its tenant used. Who comes after a pause begins where those are who are
# served now: nothing was saved up meanwhile.
METERING = f"""
local function meter(tenant) return tonumber(redis.call('HGET', '{METERS}', tenant) or 0) end
local function clock() return tonumber(redis.call('GET', '{CLOCK}') or 0) end
-- a tenant that neither waits nor runs submits a job
local function begin_metering(tenant)
  if meter(tenant) < clock() then redis.call('HSET', '{METERS}', tenant, clock()) end
end
"""

TURNS = (
    METERING
    + f"""
local function may_run(tenant) return tonumber(redis.call('HGET', '{MAX_RUNNING}', tenant) or math.huge) end
-- whose jobs those are that make this demand, if a worker can run them: of its own schema or the one before, and at
-- most of its `largest` canvas in pixels, or '' for any
local function tenant_if_fitting(demand, newest, largest)
  local tenant, schema, pixels = string.match(demand, '^(.+):(%d+):(%d+)$')
  local known = tonumber(schema) <= tonumber(newest) and tonumber(schema) >= tonumber(newest) - 1
  return known and (largest == '' or tonumber(pixels) <= tonumber(largest)) and tenant
end
local function comes_before(one, other)
  for i = 1, #one do
    if one[i] ~= other[i] then return one[i] < other[i] end
  end
end
-- the first of a lane: of the tenant with the fewest running jobs, then the lowest meter, the job that waits longest.
-- Hundreds of tenants may wait: whoever cannot be first any more is asked no further.
local function first_of(priority, newest, largest)
  local first, counts = nil, {{}}
  for _, demand in ipairs(redis.call('SMEMBERS', '{DEMANDED}' .. priority)) do
    local tenant = tenant_if_fitting(demand, newest, largest)
    local count = tenant and (counts[tenant] or running(tenant))
    if tenant and (not first or count <= first[1]) then
      local metered = meter(tenant)
      local may_come_first = not first or count < first[1] or metered <= first[2]
      if may_come_first and count < may_run(tenant) then
        local job = redis.call('ZRANGE', '{READY}' .. priority .. ':' .. demand, 0, 0, 'WITHSCORES')
        local rank = job[1] and {{count, metered, tonumber(job[2]), job[1], tenant}}
        if rank and (not first or comes_before(rank, first)) then first = rank end
      end
    end
    if tenant then counts[tenant] = count end
  end
  return first
end
-- whether this batch job goes before interactive work: once in a while, of a tenant that else gets nothing
local function has_waited_enough(job)
  local in_service, since, tenant = job[1] > 0, job[3], job[5]
  return not in_service and now() - since >= {milliseconds(BATCH_PATIENCE)}
    and redis.call('SISMEMBER', '{WAITING}{Priority.INTERACTIVE}', tenant) == 0
end
-- the id of the job whose turn it is, or nothing
local function take_turn(newest, largest)
  local job = first_of('{Priority.INTERACTIVE}', newest, largest)
  if not job or redis.call('EXISTS', '{BATCH_TURN}') == 0 then
    local batch = first_of('{Priority.BATCH}', newest, largest)
    if batch and (not job or has_waited_enough(batch)) then
      job = batch
      redis.call('SET', '{BATCH_TURN}', 1, 'PX', {milliseconds(BATCH_PATIENCE)})
    end
  end
  if not job then return nil end
  redis.call('SET', '{CLOCK}', math.max(clock(), job[2]))
  return job[4]
end
-- how many jobs wait that such a worker can run now; counts to `most` and no further
local function count_turns(newest, largest, most)
  local room, count = {{}}, 0
  for _, priority in ipairs({PRIORITIES}) do
    for _, demand in ipairs(redis.call('SMEMBERS', '{DEMANDED}' .. priority)) do
      local tenant = tenant_if_fitting(demand, newest, largest)
      if tenant then
        room[tenant] = room[tenant] or math.max(0, may_run(tenant) - running(tenant))
        local jobs = math.min(redis.call('ZCARD', '{READY}' .. priority .. ':' .. demand), room[tenant])
        room[tenant], count = room[tenant] - jobs, count + jobs
        if count >= most then return most end
      end
    end
  end
  return count
end
"""
)

# after this, no set names what has no job any more; for the audit
TIDY = f"""
for _, priority in ipairs({PRIORITIES}) do
  for _, names in ipairs({{'{DEMANDED}', '{WAITING}'}}) do
    for _, name in ipairs(redis.call('SMEMBERS', names .. priority)) do
      if redis.call('EXISTS', '{READY}' .. priority .. ':' .. name) == 0 then
        redis.call('SREM', names .. priority, name)
      end
    end
  end
end
return 1
"""
