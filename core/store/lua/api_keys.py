"""Lua scripts behind API keys. One is JSON under its SHA-256; `created` and `expires` count ms."""

from datetime import timedelta

from core.store.encoding import milliseconds
from core.store.keys import API_KEYS, API_KEYS_REVOKED, API_KEYS_USED
from core.store.lua.common import COMMON

NOTE_USE_EVERY = timedelta(minutes=1)

# ARGV: SHA-256 of what a caller sent, or ''. Answer: whether any key exists, the caller's (JSON),
# whether it expired.
FIND_KEY = (
    COMMON
    + f"""
local any = redis.call('EXISTS', '{API_KEYS}')
local stored = ARGV[1] ~= '' and redis.call('HGET', '{API_KEYS}', ARGV[1])
if not stored then return {{any}} end
local key, at = cjson.decode(stored), now()
if key.expires ~= cjson.null and key.expires <= at then return {{any, stored, 1}} end
local used = redis.call('HGET', '{API_KEYS_USED}', key.id)
if not used or at - used >= {milliseconds(NOTE_USE_EVERY)} then redis.call('HSET', '{API_KEYS_USED}', key.id, at) end
return {{any, stored, 0}}
"""
)

# ARGV: SHA-256, the key (JSON without `created`). Answer: the key (JSON).
ADD_KEY = (
    COMMON
    + f"""
local key = string.gsub(ARGV[2], '^{{', '{{"created":' .. string.format('%d', now()) .. ',')
redis.call('HSET', '{API_KEYS}', ARGV[1], key)
return key
"""
)

# ARGV as for ADD_KEY. Answer: whether it was added; one that is there stays as it is, one that was
# revoked stays away.
ADD_KEY_ONCE = f"""
if redis.call('HEXISTS', '{API_KEYS}', ARGV[1]) == 1 then return 0 end
if redis.call('SISMEMBER', '{API_KEYS_REVOKED}', ARGV[1]) == 1 then return 0 end
""" + ADD_KEY.replace("return key\n", "return 1\n")

# ARGV: ids. Answer: how many keys of those ids were taken away.
REVOKE_KEYS = f"""
local gone, stored = 0, redis.call('HGETALL', '{API_KEYS}')
for i = 1, #stored, 2 do
  local id = cjson.decode(stored[i + 1]).id
  for _, revoked in ipairs(ARGV) do
    if id == revoked then
      redis.call('HDEL', '{API_KEYS}', stored[i])
      redis.call('HDEL', '{API_KEYS_USED}', id)
      redis.call('SADD', '{API_KEYS_REVOKED}', stored[i])
      gone = gone + 1
    end
  end
end
return gone
"""
