"""Lua scripts of the audit: each job stands where its record says, and nothing stands there without a record."""

from core.job import TRANSITIONS
from core.keys import DEMANDS, EXPIRY, JOBS, LEASES, READY, TRASH
from core.lua_common import COMMON, PRIORITIES

STATES = "{'" + "', '".join(TRANSITIONS) + "'}"

# ARGV: lease (ms), ids. Puts each job back into the sets that its record demands, and out of all others. A record in a
# state that this version does not know is left alone. Answer: id, what was repaired, id, …
RECONCILE = (
    COMMON
    + f"""
local repairs = {{}}
local function keep(key, id, score)
  local present = redis.call('ZSCORE', key, id)
  if score and not present then
    redis.call('ZADD', key, score, id)
    table.insert(repairs, id)
    table.insert(repairs, 'was missing from ' .. key)
  elseif present and not score then
    redis.call('ZREM', key, id)
    table.insert(repairs, id)
    table.insert(repairs, 'had no place in ' .. key)
  end
end
local function known(status)
  for _, state in ipairs({STATES}) do
    if state == status then return true end
  end
end
local function reconcile(id)
  local job = redis.call('HMGET', key_of(id), 'status', 'priority', 'created', 'expires', 'schema', 'canvas_pixels')
  local status = job[1]
  if status and not known(status) then return end
  local queued, running = status == 'queued', status == 'running'
  keep('{JOBS}', id, status and 0)
  for _, state in ipairs({STATES}) do keep('{JOBS}:' .. state, id, state == status and 0) end
  keep('{LEASES}', id, running and now() + ARGV[1])
  keep('{EXPIRY}', id, status and not queued and not running and job[4])
  local own = status and job[5] .. ':' .. (job[6] or 0)
  if queued then redis.call('SADD', '{DEMANDS}' .. job[2], own) end
  for _, priority in ipairs({PRIORITIES}) do
    local here = queued and priority == job[2]
    keep('{READY}' .. priority, id, here and job[3])
    for _, demand in ipairs(redis.call('SMEMBERS', '{DEMANDS}' .. priority)) do
      keep('{READY}' .. priority .. ':' .. demand, id, here and demand == own and job[3])
    end
  end
end
for i = 2, #ARGV do reconcile(ARGV[i]) end
if #repairs > 0 then wake() end
return repairs
"""
)

# ARGV: key prefix of the records, ids. Those without a record go to the trash, so that their objects are deleted.
# Answer: those.
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
