-- Deleting a job: first the record, then its objects, which stay in the trash until they are gone.
-- include shared/events.lua
-- include shared/segments.lua
-- include shared/uploads.lua

local function forget_job(id)
  local job, tenant = call('HMGET', key_of(id), 'status', 'uploads', 'segments'), tenant_of(id)
  local index = C.JOBS .. tenant
  release_uploads(job[2])
  forget_segments(tenant, job[3])
  forget_events(id)
  call('ZADD', C.TRASH, now(), id)
  call('DEL', key_of(id))
  call('ZREM', index, id)
  call('ZREM', index .. ':' .. (job[1] or ''), id)
  call('ZREM', C.EXPIRY, id)
end
