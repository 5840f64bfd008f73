-- Deleting a job: first the record, then its objects, which stay in the trash until they are gone.
-- include shared/events.lua
-- include shared/uploads.lua

local function forget_job(id)
  local job, index = call('HMGET', key_of(id), 'status', 'uploads'), C.JOBS .. tenant_of(id)
  release_uploads(job[2])
  forget_events(id)
  call('ZADD', C.TRASH, now(), id)
  call('DEL', key_of(id))
  call('ZREM', index, id)
  call('ZREM', index .. ':' .. (job[1] or ''), id)
  call('ZREM', C.EXPIRY, id)
end
