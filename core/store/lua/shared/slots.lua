-- Free slots: workers that wait for a job, counted by kind, so that the scheduler's look costs the
-- same however many workers there are.
-- include shared/records.lua

-- Workers of one kind run the same jobs. A kind is the newest schema that a worker knows, the
-- largest canvas that it takes in pixels, '' for any, its engine and its models.
local function kind_of_worker(worker)
  local known = call('HMGET', C.WORKER .. worker, 'schema', 'max_canvas_pixels', 'engine', 'serves')
  return (known[1] or C.SCHEMA_VERSION) .. ':' .. (known[2] or '') .. ':'
    .. (known[3] or C.DEFAULT_ENGINE) .. ':' .. (known[4] or '')
end

-- The abilities that a kind stands for, as `turns.lua` takes them.
local function abilities_of(kind)
  local newest, largest, engine, model = string.match(kind, '^(%d+):(%d*):(%l+):(.*)$')
  return {newest = newest, largest = largest, engine = engine, model = model}
end

local function offer_slot(worker, kind, at)
  call('SADD', C.SLOT_KINDS, kind)
  call('ZADD', C.SLOTS .. kind, at, worker)
end

local function withdraw_slot(worker, kind) call('ZREM', C.SLOTS .. kind, worker) end
