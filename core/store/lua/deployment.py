"""The Lua scripts that look at the whole deployment."""

from core.store.keys import LEASES, PAUSED, READY, RUNS, WORKER, WORKERS
from core.store.lua.common import COMMON, PRIORITIES

# ARGV: tenant. Answer: of each lane how many jobs wait, since when (ms) the oldest does, or -1, and
# how many are served before one that this tenant submits now; whether the queue is paused, 1 or 0;
# and the time (ms). It costs the same however many jobs wait.
LOOK_AT_QUEUE = (
    COMMON
    + f"""
local lanes = {{}}
for _, priority in ipairs({PRIORITIES}) do
  local lane = '{READY}' .. priority
  local oldest, own = redis.call('ZRANGE', lane, 0, 0, 'WITHSCORES'), redis.call('ZCARD', lane .. ':' .. ARGV[1])
  table.insert(lanes, {{redis.call('ZCARD', lane), tonumber(oldest[2] or -1), ahead(priority, ARGV[1], own)}})
end
return {{lanes, redis.call('EXISTS', '{PAUSED}'), now()}}
"""
)

# Answer: of each live worker its state, its model or nothing, the largest canvas that it takes or
# nothing; the progress of every running job, or ''; what the last runs took, the newest first. It
# costs a look at each worker and each running job: with a thousand of both, Redis answers nobody
# else for many milliseconds.
LOOK_AT_WORKERS = (
    COMMON
    + f"""
local workers, running = {{}}, {{}}
for _, name in ipairs(redis.call('ZRANGE', '{WORKERS}', 0, -1)) do
  local worker = redis.call('HMGET', '{WORKER}' .. name, 'state', 'model', 'max_canvas_pixels')
  if worker[1] then table.insert(workers, {{name, worker[1], worker[2] or '', worker[3] or ''}}) end
end
for _, id in ipairs(redis.call('ZRANGE', '{LEASES}', 0, -1)) do
  table.insert(running, redis.call('HGET', key_of(id), 'progress') or '')
end
return {{workers, running, redis.call('LRANGE', '{RUNS}', 0, -1)}}
"""
)
