-- What an operator does with workers and the queue.
-- include shared/transitions.lua
-- include shared/turns.lua

local commands = {}

-- How many jobs wait that a worker of these limits can run now.
function commands.count_ready(newest, largest) return count_turns(newest, largest, math.huge) end

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

return commands[ARGV[1]](unpack(ARGV, 2))
