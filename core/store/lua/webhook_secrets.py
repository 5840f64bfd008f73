"""Lua scripts behind the secrets of webhooks. One is JSON in its tenant's hash: the secret,
created, expires (ms).
"""

from core.store.keys import WEBHOOK_SECRETS
from core.store.lua.common import COMMON

MAX_VALID = 2  # at the same time: the one that comes and the one that goes

_VALID = f"""
local key = '{WEBHOOK_SECRETS}' .. ARGV[1]
-- ids and secrets that are valid now: first those that nobody replaced, the newest of them first
local function valid()
  local found, at, stored = {{}}, now(), redis.call('HGETALL', key)
  for i = 1, #stored, 2 do
    local secret = cjson.decode(stored[i + 1])
    secret.id = stored[i]
    if secret.expires == cjson.null or secret.expires > at then table.insert(found, secret) end
  end
  table.sort(found, function(a, b)
    if a.expires ~= b.expires then return a.expires == cjson.null end
    return a.id > b.id
  end)
  return found
end
local function store(secret)
  redis.call('HSET', key, secret.id, cjson.encode(secret))
end
local function add()
  local secret = {{id = ARGV[2], secret = ARGV[3], created = now(), expires = cjson.null}}
  store(secret)
  return cjson.encode(secret)
end
"""

# ARGV: tenant. Answer: the valid secrets (JSON), the newest first.
VALID_SECRETS = COMMON + _VALID + "return #valid() > 0 and cjson.encode(valid()) or '[]'"

# ARGV: tenant, id, secret. Answer: the new secret (JSON), or nothing where as many are valid as may
# be.
CREATE_SECRET = COMMON + _VALID + f"if #valid() >= {MAX_VALID} then return false end return add()"

# ARGV: tenant, id, secret, how long the newest one so far stays valid (ms). All older ones end at
# once. Answer: the new secret (JSON).
ROTATE_SECRET = (
    COMMON
    + _VALID
    + """
local before = valid()
redis.call('DEL', key)
if before[1] and tonumber(ARGV[4]) > 0 then
  local ends = now() + ARGV[4]
  if before[1].expires == cjson.null or before[1].expires > ends then before[1].expires = ends end
  store(before[1])
end
return add()
"""
)
