"""What all Lua scripts share: the clock, waking the dispatcher, and the ways a job changes.

Time is Redis's own clock in every script, so no machine's clock decides about a lease. The scripts reach the keys of
jobs that they find on the way, which a Redis Cluster would refuse; the service runs on one Redis.
"""

from core.job import Priority
from core.keys import CHANGES, DEMANDS, EXPIRY, JOB, JOBS, LEASES, READY, READY_KEYS, WAKE

LANES = "{'" + "', '".join(READY_KEYS) + "'}"
PRIORITIES = "{'" + "', '".join(Priority) + "'}"  # best first

COMMON = f"""
local function now()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end
local function wake()
  if redis.call('LLEN', '{WAKE}') == 0 then redis.call('LPUSH', '{WAKE}', '1') end
end
local function key_of(id) return '{JOB}' .. id end
-- the job is still this attempt's: everything that a worker writes goes through here
local function held(id, fence)
  local state = redis.call('HMGET', key_of(id), 'status', 'fence')
  return state[1] == 'running' and state[2] == fence
end
local function change(id, ...)
  redis.call('HSET', key_of(id), ...)
  redis.call('PUBLISH', '{CHANGES}', id .. ' ' .. redis.call('HINCRBY', key_of(id), 'version', 1))
end
local function move(id, status, ...)
  redis.call('ZREM', '{JOBS}:' .. redis.call('HGET', key_of(id), 'status'), id)
  redis.call('ZADD', '{JOBS}:' .. status, 0, id)
  change(id, 'status', status, ...)
end
-- a job waits in its lane, and beside those that demand the same of a worker: the record's schema, the canvas in pixels
local function enqueue(id)
  local job = redis.call('HMGET', key_of(id), 'priority', 'created', 'schema', 'canvas_pixels')
  local demand = job[3] .. ':' .. (job[4] or 0)
  redis.call('ZADD', '{READY}' .. job[1], job[2], id)
  redis.call('ZADD', '{READY}' .. job[1] .. ':' .. demand, job[2], id)
  redis.call('SADD', '{DEMANDS}' .. job[1], demand)
end
local function dequeue(id)
  local job = redis.call('HMGET', key_of(id), 'priority', 'schema', 'canvas_pixels')
  local demand = job[2] .. ':' .. (job[3] or 0)
  redis.call('ZREM', '{READY}' .. job[1], id)
  redis.call('ZREM', '{READY}' .. job[1] .. ':' .. demand, id)
  if redis.call('EXISTS', '{READY}' .. job[1] .. ':' .. demand) == 0 then
    redis.call('SREM', '{DEMANDS}' .. job[1], demand)
  end
end
-- the sets of a priority's waiting jobs that a worker can run: of its own schema or the one before; `largest` canvas in
-- pixels, or '' for any
local function fitting(priority, newest, largest)
  local sets = {{}}
  for _, demand in ipairs(redis.call('SMEMBERS', '{DEMANDS}' .. priority)) do
    local schema, pixels = string.match(demand, '(%d+):(%d+)')
    local known = tonumber(schema) <= tonumber(newest) and tonumber(schema) >= tonumber(newest) - 1
    if known and (largest == '' or tonumber(pixels) <= tonumber(largest)) then
      table.insert(sets, '{READY}' .. priority .. ':' .. demand)
    end
  end
  return sets
end
local function finish(id, status, ...)
  move(id, status, 'finished', now(), 'progress', '', ...)
  dequeue(id)
  redis.call('ZREM', '{LEASES}', id)
  redis.call('ZADD', '{EXPIRY}', redis.call('HGET', key_of(id), 'expires'), id)
end
local function requeue(id)
  redis.call('ZREM', '{LEASES}', id)
  if redis.call('HGET', key_of(id), 'cancel') then return finish(id, 'canceled') end
  redis.call('HDEL', key_of(id), 'started')
  move(id, 'queued', 'progress', '')
  enqueue(id)
  wake()
end
-- the record, and before it its place in the queue or -1
local function view(id)
  local record, position = redis.call('HGETALL', key_of(id)), -1
  local job = redis.call('HMGET', key_of(id), 'status', 'priority')
  if job[1] == 'queued' then
    local ahead = 0
    for _, lane in ipairs({LANES}) do
      if lane == '{READY}' .. job[2] then
        position = ahead + (redis.call('ZRANK', lane, id) or 0)
        break
      end
      ahead = ahead + redis.call('ZCARD', lane)
    end
  end
  table.insert(record, 1, position)
  return record
end
"""
