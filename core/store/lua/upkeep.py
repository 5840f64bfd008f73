"""Lua scripts of the audit: each job stands where its record says, and nothing stands there without
a record.
"""

from core.records.job import TRANSITIONS
from core.records.tenant import DEFAULT_TENANT
from core.store.keys import DEMANDED, EXPIRY, JOBS, LEASES, TRASH, WAITING
from core.store.lua.common import COMMON

STATES = "{'" + "', '".join(TRANSITIONS) + "'}"

# ARGV: lease (ms), a set in which these jobs stand or '', ids. Puts each job into the sets that its
# record demands, and out of this one where it does not. A record in a state that this version does
# not know is left alone. Answer: id, what was repaired, id, …
RECONCILE = (
    COMMON
    + f"""
local repairs = {{}}
local function note(id, what)
  table.insert(repairs, id)
  table.insert(repairs, what)
end
local function is_known(status)
  for _, state in ipairs({STATES}) do
    if state == status then return true end
  end
end
-- the sets in which a job belongs, each with its score
local function places_of(id, status, tenant, expires)
  local index = '{JOBS}' .. tenant
  local places = {{[index] = 0, [index .. ':' .. status] = 0}}
  if status == 'queued' then
    local place = waiting_place(id)
    for _, set in ipairs(place.sets) do places[set] = place.since end
    redis.call('SADD', '{DEMANDED}' .. place.priority, place.demand)
    redis.call('SADD', '{WAITING}' .. place.priority, place.tenant)
  else
    places[status == 'running' and '{LEASES}' or '{EXPIRY}'] = status == 'running' and now() + ARGV[1] or expires
  end
  return places
end
local function reconcile(id, found_in)
  local job = redis.call('HMGET', key_of(id), 'status', 'tenant', 'expires')
  if job[1] and not is_known(job[1]) then return end
  local places = job[1] and places_of(id, job[1], job[2] or '{DEFAULT_TENANT}', job[3]) or {{}}
  for set, score in pairs(places) do
    if redis.call('ZADD', set, 'NX', score, id) == 1 then note(id, 'was missing from ' .. set) end
  end
  if found_in ~= '' and not places[found_in] and redis.call('ZREM', found_in, id) == 1 then
    note(id, 'had no place in ' .. found_in)
  end
end
for i = 3, #ARGV do reconcile(ARGV[i], ARGV[2]) end
if #repairs > 0 then wake() end
return repairs
"""
)

# ARGV: key prefix of the records, ids. Those without a record go to the trash, so that their
# objects are deleted. Answer: those.
CONDEMN = (
    COMMON
    + f"""
local condemned = {{}}
for i = 2, #ARGV do
  local unknown = redis.call('EXISTS', ARGV[1] .. ARGV[i]) == 0
  if unknown and redis.call('ZADD', '{TRASH}', 'NX', now(), ARGV[i]) == 1 then table.insert(condemned, ARGV[i]) end
end
return condemned
"""
)
