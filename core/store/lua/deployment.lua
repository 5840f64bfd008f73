-- Looks at the whole deployment.
-- include shared/lanes.lua

local commands = {}

-- How many jobs of a lane wait, and since when (ms) the oldest does, or -1.
local function lane_of(priority)
  local oldest = call('ZRANGE', C.READY .. priority, 0, 0, 'WITHSCORES')
  return {call('ZCARD', C.READY .. priority), tonumber(oldest[2] or -1)}
end

-- Returns of each lane what `lane_of` does and how many jobs are served before one for this model,
-- '' for any, that this tenant submits now; whether the queue is paused, 1 or 0; and the time.
-- Costs the same however many jobs wait.
function commands.queue(tenant, model)
  local lanes = {}
  for _, priority in ipairs(C.PRIORITIES) do
    local lane = lane_of(priority)
    local own = call('ZCARD', C.READY .. line_of(priority, model) .. ':' .. tenant)
    table.insert(lane, ahead(priority, model, tenant, own))
    table.insert(lanes, lane)
  end
  return {lanes, call('EXISTS', C.PAUSED), now()}
end

-- Returns of each live worker its name, state, model, largest canvas, engine, the names of what it
-- serves, what it offers with it, the memory in use and its adapters, each or ''; of every running
-- job its progress and the model that it is for, each or ''; what the last runs took, the newest
-- first. It costs a read for each worker and each running job: with a thousand of both, Redis
-- serves no other call for many milliseconds.
function commands.workers()
  local workers, running = {}, {}
  for _, name in ipairs(call('ZRANGE', C.WORKERS, 0, -1)) do
    local worker = call('HMGET', C.WORKER .. name, 'state', 'model', 'max_canvas_pixels', 'engine',
      'serves', 'offer', 'memory', 'adapters')
    if worker[1] then
      for field = 1, 8 do worker[field] = worker[field] or '' end
      table.insert(workers, {name, unpack(worker)})
    end
  end
  for _, id in ipairs(call('ZRANGE', C.LEASES, 0, -1)) do
    local job = call('HMGET', key_of(id), 'progress', 'for_model')
    table.insert(running, {job[1] or '', job[2] or ''})
  end
  return {workers, running, call('LRANGE', C.RUNS, 0, -1)}
end

-- Returns each model that a worker offered within `memory`: what it offers and, 1 or 0, whether one
-- did within `worker_life`. Costs a read, however many workers there are.
function commands.offers(memory, worker_life)
  local offers, at = {}, now()
  local seen = call('ZRANGE', C.OFFERED, at - memory, '+inf', 'BYSCORE', 'WITHSCORES')
  for i = 1, #seen, 2 do
    local offer = call('HGET', C.OFFERS, seen[i])
    local is_live = at - seen[i + 1] < tonumber(worker_life)
    if offer then table.insert(offers, {offer, is_live and 1 or 0}) end
  end
  return offers
end

-- For metrics. Returns of each lane what `lane_of` does; how many jobs run; how many of them have
-- an expired lease; the state of each live worker; whether the queue is paused, 1 or 0; the totals;
-- the time; how many of the jobs that wait or run are for the preview engine. Costs a read for each
-- worker and each running job, however many jobs wait.
function commands.metrics()
  local lanes, workers, of_preview = {}, {}, 0
  for _, priority in ipairs(C.PRIORITIES) do
    table.insert(lanes, lane_of(priority))
    of_preview = of_preview + call('ZCARD', C.READY .. line_of(priority, C.PREVIEW))
  end
  for _, id in ipairs(call('ZRANGE', C.LEASES, 0, -1)) do
    if call('HGET', key_of(id), 'for_model') == C.PREVIEW then of_preview = of_preview + 1 end
  end
  for _, name in ipairs(call('ZRANGE', C.WORKERS, 0, -1)) do
    local state = call('HGET', C.WORKER .. name, 'state')
    if state then table.insert(workers, state) end
  end
  return {lanes, call('ZCARD', C.LEASES), call('ZCOUNT', C.LEASES, '-inf', now()), workers,
    call('EXISTS', C.PAUSED), call('HGETALL', C.TOTALS), now(), of_preview}
end

return commands[ARGV[1]](unpack(ARGV, 2))
