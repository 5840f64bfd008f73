-- Uploads and the jobs that use them. A job and its claim on uploads are written in one step.
-- include shared/records.lua

local function upload_key(id) return C.UPLOAD .. id end
local function uploader(id) return call('HGET', upload_key(id), 'tenant') or C.DEFAULT_TENANT end

-- Iterate over a record's field `uploads`: a JSON object from image digest to upload id, or ''.
local function each_upload(uploads)
  return pairs(uploads and uploads ~= '' and cjson.decode(uploads) or {})
end

-- Claim a new job's uploads; false, with nothing claimed, if one is gone or another tenant's.
local function use_uploads(tenant, uploads)
  for _, id in each_upload(uploads) do
    if call('HEXISTS', upload_key(id), 'image') == 0 or uploader(id) ~= tenant then return false end
  end
  for _, id in each_upload(uploads) do
    call('HINCRBY', upload_key(id), 'jobs', 1)
    call('ZREM', C.UPLOADS, id)
  end
  return true
end

local function release_uploads(uploads)
  for _, id in each_upload(uploads) do
    local life = call('HGET', upload_key(id), 'life')
    if life and call('HINCRBY', upload_key(id), 'jobs', -1) <= 0 then
      call('ZADD', C.UPLOADS, now() + life, id)
    end
  end
end

-- Set the size with which an upload counts: its limit until its bytes are known.
local function resize(id, bytes)
  local tenant = uploader(id)
  local more = bytes - (call('HGET', upload_key(id), 'bytes') or 0)
  call('HSET', upload_key(id), 'bytes', bytes)
  local all = call('HINCRBY', C.UPLOAD_BYTES, tenant, more)
  if all <= 0 then call('HDEL', C.UPLOAD_BYTES, tenant) end
end

local function forget_upload(id)
  call('ZREM', C.UPLOADS, id)
  if call('EXISTS', upload_key(id)) == 1 then resize(id, 0) end
  call('DEL', upload_key(id))
end
