"""The Lua script that looks at the whole deployment at one moment."""

from core.keys import LEASES, PAUSED, READY, RUNS, WORKER, WORKERS
from core.lua_common import COMMON, PRIORITIES

# ARGV: tenant. Answer: the workers, each its name and then the fields of its hash; of each lane how many jobs wait,
# since when (ms) the oldest does, or -1, and how many are served before one that this tenant submits now; the progress
# of every running job, or ''; what the last runs took, the newest first; whether the queue is paused, 1 or 0; and the
# time (ms). It costs a look at each worker and each running job, however many jobs wait.
LOOK = (
    COMMON
    + f"""
local workers, lanes, running = {{}}, {{}}, {{}}
for _, name in ipairs(redis.call('ZRANGE', '{WORKERS}', 0, -1)) do
  local fields = redis.call('HGETALL', '{WORKER}' .. name)
  if #fields > 0 then
    table.insert(fields, 1, name)
    table.insert(workers, fields)
  end
end
for _, priority in ipairs({PRIORITIES}) do
  local lane = '{READY}' .. priority
  local oldest, own = redis.call('ZRANGE', lane, 0, 0, 'WITHSCORES'), redis.call('ZCARD', lane .. ':' .. ARGV[1])
  table.insert(lanes, {{redis.call('ZCARD', lane), tonumber(oldest[2] or -1), ahead(priority, ARGV[1], own)}})
end
for _, id in ipairs(redis.call('ZRANGE', '{LEASES}', 0, -1)) do
  table.insert(running, redis.call('HGET', key_of(id), 'progress') or '')
end
return {{workers, lanes, running, redis.call('LRANGE', '{RUNS}', 0, -1),
  redis.call('EXISTS', '{PAUSED}'), now()}}
"""
)
