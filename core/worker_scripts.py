"""Lua scripts of the worker registry: who lives, what it holds, and who was asked to stop."""

from core.keys import WORKER, WORKERS
from core.lua_common import COMMON

# ARGV: name, life (ms), state, then field, value, …  Answer: milliseconds that a worker asked to stop has left, or -1.
REPORT = (
    COMMON
    + f"""
local key = '{WORKER}' .. ARGV[1]
local before = redis.call('HMGET', key, 'state', 'stop_at')
redis.call('HSET', key, 'state', before[2] and 'stopping' or ARGV[3], unpack(ARGV, 4))
redis.call('PEXPIRE', key, ARGV[2])
redis.call('ZADD', '{WORKERS}', now(), ARGV[1])
if ARGV[3] == 'idle' and before[1] ~= 'idle' then wake() end  -- a slot became free
return before[2] and math.max(0, before[2] - now()) or -1
"""
)

# ARGV: name, life (ms), grace (ms). Tells the worker's other process to finish within the grace or give its job back.
ASK_TO_STOP = (
    COMMON
    + f"""
local key = '{WORKER}' .. ARGV[1]
redis.call('HSET', key, 'stop_at', now() + ARGV[3], 'state', 'stopping')
redis.call('PEXPIRE', key, ARGV[2])
return 1
"""
)
