-- What an operator does with workers and the queue.
-- include shared/transitions.lua
-- include shared/turns.lua

local commands = {}

-- How many jobs wait that a worker of these abilities can run now.
function commands.count_ready(newest, largest, engine, model)
  local abilities = {newest = newest, largest = largest, engine = engine, model = model}
  return count_turns(abilities, math.huge)
end

-- Let a worker end its job and take no other. One in quarantine stays there.
function commands.drain(worker, hold_life)
  local key = C.HOLD .. worker
  call('HSETNX', key, 'state', 'paused')
  call('HSETNX', key, 'reason', 'drained by an operator')
  call('HSETNX', key, 'since', now())
  call('PEXPIRE', key, hold_life)
end

-- Stop all claims. Returns 1 unless they were stopped already.
function commands.pause_queue() return call('SET', C.PAUSED, now(), 'NX') and 1 or 0 end

function commands.resume_queue()
  local was_paused = call('DEL', C.PAUSED)
  wake()
  return was_paused
end

-- Cancel up to `limit` waiting jobs, the best first. Returns their ids.
function commands.purge(limit)
  local ids = {}
  for _, lane in ipairs(C.READY_KEYS) do
    for _, id in ipairs(call('ZRANGE', lane, 0, limit - #ids - 1)) do
      finish(id, 'canceled')
      table.insert(ids, id)
    end
    if #ids >= tonumber(limit) then break end
  end
  return ids
end

-- Give up to `limit` ended jobs of a tenant to another. Returns how many there were.
function commands.move_ended(tenant, new_tenant, limit)
  local moved = 0
  local function give(id, index)
    call('ZREM', C.JOBS .. tenant .. index, id)
    call('ZADD', C.JOBS .. new_tenant .. index, 0, id)
  end
  for status in pairs(C.TRANSITIONS) do
    local index, room = ':' .. status, is_final(status) and limit - moved or 0
    local ended = C.JOBS .. tenant .. index
    for _, id in ipairs(call('ZRANGE', ended, '-inf', '+inf', 'BYSCORE', 'LIMIT', 0, room)) do
      call('HSET', key_of(id), 'tenant', new_tenant)
      give(id, '')
      give(id, index)
      moved = moved + 1
    end
  end
  return moved
end

return commands[ARGV[1]](unpack(ARGV, 2))
