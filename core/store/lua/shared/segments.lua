-- Finished segments of a tenant, whose frames are stored below the job that drew or copied them.
-- An entry is `digest job bytes`; jobs list theirs in the field `segments`.
-- include shared/records.lua

local function forget_segment(tenant, entry)
  if call('ZREM', C.SEGMENTS .. tenant, entry) == 0 then return end
  local digest, job, bytes = entry:match('^(%S+) (%S+) (%d+)$')
  local left = call('HINCRBY', C.SEGMENT_BYTES, tenant, -bytes)
  if left <= 0 then call('HDEL', C.SEGMENT_BYTES, tenant) end
  if call('HGET', C.SEGMENT_JOBS .. tenant, digest) == job then
    call('HDEL', C.SEGMENT_JOBS .. tenant, digest)
  end
end

local function forget_segments(tenant, entries)
  for entry in (entries or ''):gmatch('[^,]+') do forget_segment(tenant, entry) end
end

-- Enter a job's segment; the oldest ones of the tenant beyond `quota` bytes are forgotten. Returns
-- job and digest of each of these: their frames are to be deleted.
local function enter_segment(tenant, job, digest, bytes, quota)
  local entry = digest .. ' ' .. job .. ' ' .. bytes
  if call('ZADD', C.SEGMENTS .. tenant, now(), entry) == 1 then
    call('HINCRBY', C.SEGMENT_BYTES, tenant, bytes)
    local listed = call('HGET', key_of(job), 'segments')
    call('HSET', key_of(job), 'segments', listed and listed .. ',' .. entry or entry)
  end
  call('HSET', C.SEGMENT_JOBS .. tenant, digest, job)
  local dropped = {}
  while tonumber(call('HGET', C.SEGMENT_BYTES, tenant) or 0) > tonumber(quota) do
    local oldest = call('ZRANGE', C.SEGMENTS .. tenant, 0, 0)[1]
    if not oldest then break end
    forget_segment(tenant, oldest)
    local old_digest, old_job = oldest:match('^(%S+) (%S+)')
    table.insert(dropped, old_job)
    table.insert(dropped, old_digest)
  end
  return dropped
end
