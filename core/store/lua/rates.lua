-- Calls per minute, counted second by second.
-- include shared/records.lua

local WINDOW = 60  -- seconds

local commands = {}

-- Take up to `wanted` of `limit` calls. A second's calls count until the same second of the next
-- minute has ended: so no minute, wherever it begins, has more than the limit, and a caller that
-- never pauses gets sixty of sixty-one. Returns how many were given, how many are taken now, and
-- milliseconds until some of these are free again.
function commands.lease(whose, limit, wanted)
  local at, key, taken = now(), C.RATE .. whose, 0
  local second = math.floor(at / 1000)
  local oldest, seconds = second, call('HGETALL', key)
  for i = 1, #seconds, 2 do
    local past = tonumber(seconds[i])
    if past < second - WINDOW then
      call('HDEL', key, seconds[i])
    else
      taken, oldest = taken + seconds[i + 1], math.min(oldest, past)
    end
  end
  local given = math.max(0, math.min(tonumber(wanted), limit - taken))
  if given > 0 then
    call('HINCRBY', key, second, given)
    call('EXPIRE', key, WINDOW + 1)
  end
  return {given, taken + given, (oldest + WINDOW + 1) * 1000 - at}
end

return commands[ARGV[1]](unpack(ARGV, 2))
