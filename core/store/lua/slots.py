"""Lua about free slots: workers that wait for a job, by kind, so that a look costs the same however
many there are.
"""

from core.records.base import SCHEMA_VERSION
from core.store.keys import IDLE, IDLE_KINDS, WORKER, WORKERS
from core.store.lua.common import COMMON
from core.store.lua.fair_share import TURNS

# A kind is the newest schema that a worker knows and the largest canvas that it takes (pixels), or
# nothing for any: workers of one kind run the same jobs.
SLOTS = f"""
local function kind_of(schema, largest) return (schema or {SCHEMA_VERSION}) .. ':' .. (largest or '') end
local function offer_slot(worker, kind, at)
  redis.call('SADD', '{IDLE_KINDS}', kind)
  redis.call('ZADD', '{IDLE}' .. kind, at, worker)
end
local function withdraw_slot(worker, kind) redis.call('ZREM', '{IDLE}' .. kind, worker) end
"""

# ARGV: life of a worker (ms), key of the list of messages. Answer: how many further messages would
# find a worker that waits and a job for it, each another one. What a worker runs, one with a larger
# limit runs too; so the choosiest are served first and all get what they can.
COUNT_MISSING = (
    COMMON
    + TURNS
    + f"""
if does_nobody_wait() then return 0 end
local kinds, matches = {{}}, 0
for _, kind in ipairs(redis.call('SMEMBERS', '{IDLE_KINDS}')) do
  redis.call('ZREMRANGEBYSCORE', '{IDLE}' .. kind, '-inf', now() - ARGV[1])
  local schema, largest = string.match(kind, '^(%d+):(%d*)$')
  table.insert(kinds, {{slots = redis.call('ZCARD', '{IDLE}' .. kind), schema = schema, largest = largest}})
  if kinds[#kinds].slots == 0 then redis.call('SREM', '{IDLE_KINDS}', kind) end
end
table.sort(kinds, function(one, other)
  return (tonumber(one.largest) or math.huge) < (tonumber(other.largest) or math.huge)
end)
for _, kind in ipairs(kinds) do
  local most = matches + kind.slots
  if kind.slots > 0 then matches = math.max(matches, count_turns(kind.schema, kind.largest, most)) end
end
return math.max(0, matches - redis.call('LLEN', ARGV[2]))
"""
)

# ARGV: life of a worker (ms). Forgets dead workers, and puts each idle one where free slots are
# counted: one of another version of the service may not have done so itself.
RECOUNT = (
    COMMON
    + SLOTS
    + f"""
redis.call('ZREMRANGEBYSCORE', '{WORKERS}', '-inf', now() - ARGV[1])
local names = redis.call('ZRANGE', '{WORKERS}', 0, -1, 'WITHSCORES')
for i = 1, #names, 2 do
  local worker = redis.call('HMGET', '{WORKER}' .. names[i], 'state', 'schema', 'max_canvas_pixels')
  if worker[1] == 'idle' then offer_slot(names[i], kind_of(worker[2], worker[3]), names[i + 1]) end
end
return 1
"""
)
