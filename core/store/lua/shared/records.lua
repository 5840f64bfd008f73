-- Redis's clock and the fields that say whose job a record is.
--
-- Scripts reach the keys of jobs that they find on the way. A Redis Cluster refuses that; the
-- service runs on a single Redis.

local call = redis.call

-- Milliseconds since 1970 by Redis's own clock, so that no machine's clock decides about a lease.
local function now()
  local time = call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function key_of(id) return C.JOB .. id end

-- A job's tenant. Records from before there were tenants belong to the default one.
local function tenant_of(id) return call('HGET', key_of(id), 'tenant') or C.DEFAULT_TENANT end

-- The status of this tenant's job; false for an unknown id and for another tenant's job.
local function status_for(tenant, id)
  local job = call('HMGET', key_of(id), 'status', 'tenant')
  return (job[2] or C.DEFAULT_TENANT) == tenant and job[1]
end
