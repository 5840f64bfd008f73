"""Lua scripts behind the gateway's calls and the expiry: every change of a job is one script, whole
or not at all.
"""

from core.records.base import SCHEMA_VERSION
from core.records.tenant import DEFAULT_TENANT
from core.store.keys import CHANGES, EXPIRY, IDEMPOTENCY, JOBS, MAX_RUNNING, TOTALS, TRASH, UPLOADS
from core.store.lua.common import COMMON, LANES
from core.store.lua.fair_share import METERING
from core.store.lua.uploads import USES

# what an idempotency key came to before, as these scripts answer it
RECALL = f"""
local function recall(tenant, digest, fingerprint)
  if digest == '' then return nil end
  local first = redis.call('HMGET', '{IDEMPOTENCY}' .. digest, 'id', 'fingerprint')
  if first[1] then return {{first[2] == fingerprint and 'replayed' or 'reused', view(first[1], tenant)}} end
end
"""

# why no further job of a tenant may wait, if so: 'too_many' of its own do, or of all 'full'; ''
# means any number
LIMITS = f"""
local function no_room(tenant, most, most_of_all)
  local own, all = redis.call('ZCARD', '{JOBS}' .. tenant .. ':queued'), 0
  if most ~= '' and own >= tonumber(most) then return 'too_many' end
  if most_of_all == '' then return nil end
  for _, lane in ipairs({LANES}) do all = all + redis.call('ZCARD', lane) end
  return all >= tonumber(most_of_all) and 'full'
end
"""

# record first, then objects: these are in the trash until somebody has deleted them
FORGET = f"""
local function forget(id)
  local job, index = redis.call('HMGET', key_of(id), 'status', 'uploads'), '{JOBS}' .. tenant_of(id)
  release_uploads(job[2])
  forget_events(id)
  redis.call('ZADD', '{TRASH}', now(), id)
  redis.call('DEL', key_of(id))
  redis.call('ZREM', index, id)
  redis.call('ZREM', index .. ':' .. (job[1] or ''), id)
  redis.call('ZREM', '{EXPIRY}', id)
end
"""

# ARGV: tenant, digest of the idempotency key, fingerprint. Answer: what the key came to before,
# then the view, or nothing.
RECALL_KEY = COMMON + RECALL + "return recall(ARGV[1], ARGV[2], ARGV[3]) or {}"

# ARGV: id, tenant, digest of the idempotency key or '', fingerprint, how many jobs of the tenant
# may wait or '', of all or '', how long objects may take to be stored (ms). The id waits in the
# trash until SUBMIT takes it out, so that objects of a job that never comes are found. Answer:
# 'reserved', or what the key came to before, 'too_many' or 'full', then the view.
RESERVE = (
    COMMON
    + RECALL
    + LIMITS
    + f"""
local id, tenant = ARGV[1], ARGV[2]
local known = recall(tenant, ARGV[3], ARGV[4])
if known then return known end
local refused = no_room(tenant, ARGV[5], ARGV[6])
if refused then return {{refused, view(id, tenant)}} end
redis.call('ZADD', '{TRASH}', now() + ARGV[7], id)
return {{'reserved', view(id, tenant)}}
"""
)

# ARGV: id, tenant, digest of the idempotency key or '', fingerprint of the request, how many jobs
# of the tenant may wait or '', of all or '', how many of the tenant's may run at the same time or
# '', how long the idempotency key is kept (ms), time to live (ms), priority, '1' if the id was
# reserved, uploads by digest (JSON) or '', then field, value, …  Answer: 'created', the time (ms)
# and the place in the queue; or 'replayed', 'reused', 'too_many', 'full', 'late' if the objects may
# be deleted already, or 'upload_gone', and the view.
SUBMIT = (
    COMMON
    + METERING
    + USES
    + RECALL
    + LIMITS
    + f"""
local id, tenant, at = ARGV[1], ARGV[2], now()
local known = recall(tenant, ARGV[3], ARGV[4])
if known then return known end
local refused = no_room(tenant, ARGV[5], ARGV[6])
if not refused and ARGV[11] == '1' and (tonumber(redis.call('ZSCORE', '{TRASH}', id)) or 0) <= at then
  refused = 'late'
end
if not refused and not use_uploads(tenant, ARGV[12]) then refused = 'upload_gone' end
if refused then return {{refused, view(id, tenant)}} end
if ARGV[3] ~= '' then
  redis.call('HSET', '{IDEMPOTENCY}' .. ARGV[3], 'id', id, 'fingerprint', ARGV[4])
  redis.call('PEXPIRE', '{IDEMPOTENCY}' .. ARGV[3], ARGV[8])
end
if ARGV[7] == '' then
  redis.call('HDEL', '{MAX_RUNNING}', tenant)
else
  redis.call('HSET', '{MAX_RUNNING}', tenant, ARGV[7])
end
local index = '{JOBS}' .. tenant
if redis.call('EXISTS', index .. ':queued', index .. ':running') == 0 then begin_metering(tenant) end
redis.call('ZREM', '{TRASH}', id)
redis.call('HINCRBY', '{TOTALS}', 'accepted:' .. ARGV[10], 1)
redis.call('HSET', key_of(id), 'schema', {SCHEMA_VERSION}, 'id', id, 'tenant', tenant, 'status', 'queued', 'version', 1,
  'created', at, 'expires', at + ARGV[9], 'priority', ARGV[10], 'attempts', 0, 'lost_leases', 0, 'fence', 0,
  'uploads', ARGV[12], unpack(ARGV, 13))
redis.call('ZADD', index, 0, id)
redis.call('ZADD', index .. ':queued', 0, id)
enqueue(id)
wake()
return {{'created', at, position_of(id, tenant, 'queued', ARGV[10])}}
"""
)

# ARGV: id, tenant. Answer: the view, of which only the position is there where the job is not.
READ = COMMON + "return view(ARGV[1], ARGV[2])"

# ARGV: id, tenant, version that the caller knows, place in the queue that it knows (-1 for none) or
# '' for any. Answer: as READ; the place and 'unchanged' where it knows all.
READ_NEWS = (
    COMMON
    + f"""
local id, tenant = ARGV[1], ARGV[2]
local job = redis.call('HMGET', key_of(id), 'version', 'status', 'priority', 'tenant')
if job[1] == ARGV[3] and (job[4] or '{DEFAULT_TENANT}') == tenant then
  if ARGV[4] == '' then return {{-1, 'unchanged'}} end
  local position = position_of(id, tenant, job[2], job[3])
  if position == tonumber(ARGV[4]) then return {{position, 'unchanged'}} end
end
return view(id, tenant)
"""
)

# ARGV: tenant, status or '', id after which to go on or '', limit. Answer: views, the newest first.
LIST = (
    COMMON
    + f"""
local tenant = ARGV[1]
local index = '{JOBS}' .. tenant .. (ARGV[2] == '' and '' or ':' .. ARGV[2])
local from = ARGV[3] == '' and '+' or '(' .. ARGV[3]
local page = {{}}
for _, id in ipairs(redis.call('ZRANGE', index, from, '-', 'BYLEX', 'REV', 'LIMIT', 0, ARGV[4])) do
  table.insert(page, view(id, tenant))
end
return page
"""
)

# ARGV: id, tenant. A queued job ends at once, a running one at its next denoising step. Answer: the
# view.
CANCEL = (
    COMMON
    + """
local id, tenant = ARGV[1], ARGV[2]
local status = status_for(tenant, id)
if status == 'queued' then finish(id, 'canceled') end
if status == 'running' then redis.call('HSET', key_of(id), 'cancel', 1) end
return view(id, tenant)
"""
)

# ARGV: id, tenant. Answer: 1 if the record is gone now and its objects are to be deleted, 0 if
# there is none, -1 if it runs.
DELETE = (
    COMMON
    + USES
    + FORGET
    + f"""
local status = status_for(ARGV[2], ARGV[1])
if not status then return 0 end
if status == 'queued' or status == 'running' then return -1 end
forget(ARGV[1])
redis.call('PUBLISH', '{CHANGES}', ARGV[1] .. ' 0')
return 1
"""
)

# ARGV: limit. Moves ended jobs and unused uploads past their time to the trash. Answer: ids in the
# trash that are due.
SWEEP_EXPIRED = (
    COMMON
    + USES
    + FORGET
    + f"""
for _, id in ipairs(redis.call('ZRANGE', '{EXPIRY}', '-inf', now(), 'BYSCORE', 'LIMIT', 0, ARGV[1])) do
  forget(id)
end
for _, id in ipairs(redis.call('ZRANGE', '{UPLOADS}', '-inf', now(), 'BYSCORE', 'LIMIT', 0, ARGV[1])) do
  forget_upload(id)
  redis.call('ZADD', '{TRASH}', now(), id)
end
return redis.call('ZRANGE', '{TRASH}', '-inf', now(), 'BYSCORE', 'LIMIT', 0, ARGV[1])
"""
)
