-- API keys. Each is JSON under its SHA-256; `created` and `expires` are in milliseconds.
-- include shared/records.lua

local NOTE_USE_EVERY = 60000  -- milliseconds

local commands = {}

-- `digest` of what a caller sent, or ''. Returns whether any key exists, the caller's (JSON), and
-- whether it expired.
function commands.find(digest)
  local any = call('EXISTS', C.API_KEYS)
  local stored = digest ~= '' and call('HGET', C.API_KEYS, digest)
  if not stored then return {any} end
  local key, at = cjson.decode(stored), now()
  if key.expires ~= cjson.null and key.expires <= at then return {any, stored, 1} end
  local used = call('HGET', C.API_KEYS_USED, key.id)
  if not used or at - used >= NOTE_USE_EVERY then call('HSET', C.API_KEYS_USED, key.id, at) end
  return {any, stored, 0}
end

-- `key` is JSON without `created`. Returns the whole JSON.
function commands.add(digest, key)
  key = string.gsub(key, '^{', '{"created":' .. string.format('%d', now()) .. ',')
  call('HSET', C.API_KEYS, digest, key)
  return key
end

-- Add a key unless it exists or was revoked. Returns whether it was added.
function commands.add_once(digest, key)
  if call('HEXISTS', C.API_KEYS, digest) == 1 then return 0 end
  if call('SISMEMBER', C.API_KEYS_REVOKED, digest) == 1 then return 0 end
  commands.add(digest, key)
  return 1
end

-- Returns how many keys of these ids were revoked.
function commands.revoke(...)
  local ids, revoked, stored = {}, 0, call('HGETALL', C.API_KEYS)
  for _, id in ipairs({...}) do ids[id] = true end
  for i = 1, #stored, 2 do
    local id = cjson.decode(stored[i + 1]).id
    if ids[id] then
      call('HDEL', C.API_KEYS, stored[i])
      call('HDEL', C.API_KEYS_USED, id)
      call('SADD', C.API_KEYS_REVOKED, stored[i])
      revoked = revoked + 1
    end
  end
  return revoked
end

return commands[ARGV[1]](unpack(ARGV, 2))
