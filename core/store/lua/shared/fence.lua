-- The check in front of every write of a worker.
-- include shared/records.lua

-- Status, fence and the given further fields if the job is still held by this attempt, else false.
local function held(id, fence, ...)
  local job = call('HMGET', key_of(id), 'status', 'fence', ...)
  return job[1] == 'running' and job[2] == fence and job
end
