"""What all Lua scripts share: the clock, waking the dispatcher, and the ways a job changes.

Time is Redis's own clock in every script, so no machine's clock decides about a lease. The scripts reach the keys of
jobs that they find on the way, which a Redis Cluster would refuse; the service runs on one Redis.
"""

from core.keys import CHANGES, EXPIRY, JOB, JOBS, LEASES, READY, READY_KEYS, WAKE

LANES = "{'" + "', '".join(READY_KEYS) + "'}"

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
local function enqueue(id)
  local job = redis.call('HMGET', key_of(id), 'priority', 'created')
  redis.call('ZADD', '{READY}' .. job[1], job[2], id)
end
local function finish(id, status, ...)
  move(id, status, 'finished', now(), 'progress', '', ...)
  redis.call('ZREM', '{READY}' .. redis.call('HGET', key_of(id), 'priority'), id)
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
