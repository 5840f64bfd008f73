-- Secrets that sign webhooks. Each is JSON in its tenant's hash: secret, created, expires (ms).
-- include shared/records.lua

local commands = {}

-- A tenant's valid secrets: first those that were not replaced, the newest first.
local function valid(tenant)
  local found, at, stored = {}, now(), call('HGETALL', C.WEBHOOK_SECRETS .. tenant)
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

local function store(tenant, secret)
  call('HSET', C.WEBHOOK_SECRETS .. tenant, secret.id, cjson.encode(secret))
  return cjson.encode(secret)
end

local function add(tenant, id, secret)
  return store(tenant, {id = id, secret = secret, created = now(), expires = cjson.null})
end

-- Returns the valid secrets (JSON).
function commands.valid(tenant)
  local found = valid(tenant)
  return #found > 0 and cjson.encode(found) or '[]'
end

-- Returns the new secret (JSON), or nothing if as many are valid as may be.
function commands.create(tenant, id, secret)
  return #valid(tenant) < C.MAX_VALID_SECRETS and add(tenant, id, secret)
end

-- Add a secret; the newest one so far stays valid for `keep` milliseconds, older ones end at once.
-- Returns the new secret (JSON).
function commands.rotate(tenant, id, secret, keep)
  local newest = valid(tenant)[1]
  call('DEL', C.WEBHOOK_SECRETS .. tenant)
  if newest and tonumber(keep) > 0 then
    local ends = now() + keep
    if newest.expires == cjson.null or newest.expires > ends then newest.expires = ends end
    store(tenant, newest)
  end
  return add(tenant, id, secret)
end

return commands[ARGV[1]](unpack(ARGV, 2))
