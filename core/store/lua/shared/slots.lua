-- Free slots: workers that wait for a job, counted by kind, so that the scheduler's look costs the
-- same however many workers there are.
-- include shared/records.lua

-- Workers of one kind run the same jobs. A kind is the newest schema that a worker knows and the
-- largest canvas that it takes in pixels, '' for any.
local function kind_of(schema, largest)
  return (schema or C.SCHEMA_VERSION) .. ':' .. (largest or '')
end

local function kind_of_worker(worker)
  return kind_of(unpack(call('HMGET', C.WORKER .. worker, 'schema', 'max_canvas_pixels')))
end

local function offer_slot(worker, kind, at)
  call('SADD', C.IDLE_KINDS, kind)
  call('ZADD', C.IDLE .. kind, at, worker)
end

local function withdraw_slot(worker, kind) call('ZREM', C.IDLE .. kind, worker) end
