-- Deliveries of webhook events, and the log about them.
--
-- A receiver is a tenant and a host. Its events wait in a set of its own, and one set says which
-- receivers have something to do: so a thousand events of a receiver that hangs delay no other, and
-- a claim costs one read for each receiver that is due.
-- include shared/events.lua

local EVENTS_PER_CLAIM = 100  -- of one receiver; about a millisecond of Redis's time
local LATER = 500  -- milliseconds until a tenant with its maximum of attempts is looked at again
local FAILING_MEMORY = 600000  -- milliseconds for which a failed attempt lowers a receiver's limit
local DAY = 86400000  -- milliseconds

local commands = {}

local function free_places(receiver)
  local is_failing = call('EXISTS', C.FAILING .. receiver) == 1
  local most = is_failing and C.MAX_IN_FLIGHT_FAILING or C.MAX_IN_FLIGHT
  return most - call('ZCARD', C.FLYING .. receiver)
end

local function earliest(set) return tonumber(call('ZRANGE', set, 0, 0, 'WITHSCORES')[2]) end

-- Note when a receiver has something to do: an event is due and has a place, or a lease ends.
local function reschedule(receiver)
  local due, lease_end = earliest(C.DUE_EVENTS .. receiver), earliest(C.FLYING .. receiver)
  if free_places(receiver) < 1 then due = nil end
  local at = math.min(due or math.huge, lease_end or math.huge)
  if at < math.huge then
    call('ZADD', C.DUE_RECEIVERS, at, receiver)
  else
    call('ZREM', C.DUE_RECEIVERS, receiver)
  end
end

local function address_of(tenant, digest) return C.RECEIVER .. tenant .. ':' .. digest end

-- Claim up to `limit` due events, each under a lease, so that at most `most` attempts of a tenant
-- are under way in this process; then tenants and how many attempts each has already. Returns their
-- records. What a dead process held is due again. Events for an address that is switched off are
-- skipped unless a caller asked for them.
function commands.claim(limit, most, ...)
  local claimed, at, under_way, held = {}, now(), {}, {...}
  limit, most = tonumber(limit), tonumber(most)
  for i = 1, #held, 2 do under_way[held[i]] = tonumber(held[i + 1]) end
  local function take_back(receiver)
    for _, event in ipairs(call('ZRANGE', C.FLYING .. receiver, '-inf', at, 'BYSCORE')) do
      call('ZREM', C.FLYING .. receiver, event)
      call('ZADD', C.DUE_EVENTS .. receiver, at, event)
    end
  end
  local function is_off(key)
    local event = call('HMGET', key, 'tenant', 'digest', 'forced')
    return not event[3] and call('HEXISTS', address_of(event[1], event[2]), 'off') == 1
  end
  local function take(receiver, tenant, event)
    local key = C.DELIVERY .. event
    call('ZREM', C.DUE_EVENTS .. receiver, event)
    if call('EXISTS', key) == 0 then return end
    if is_off(key) then return call('HSET', key, 'state', 'skipped') end
    call('HINCRBY', key, 'claims', 1)
    call('ZADD', C.FLYING .. receiver, at + C.DELIVERY_LEASE, event)
    under_way[tenant] = (under_way[tenant] or 0) + 1
    table.insert(claimed, call('HGETALL', key))
  end
  local function due(set, most_at_once)
    return call('ZRANGE', set, '-inf', at, 'BYSCORE', 'LIMIT', 0, most_at_once)
  end
  for _, receiver in ipairs(due(C.DUE_RECEIVERS, C.RECEIVERS_PER_CLAIM)) do
    take_back(receiver)
    local tenant = string.match(receiver, '^[^:]*')
    for _, event in ipairs(due(C.DUE_EVENTS .. receiver, EVENTS_PER_CLAIM)) do
      local may = #claimed < limit and (under_way[tenant] or 0) < most and free_places(receiver) > 0
      if may then take(receiver, tenant, event) end
    end
    reschedule(receiver)
    if (under_way[tenant] or 0) >= most then  -- receivers of other tenants come first
      call('ZADD', C.DUE_RECEIVERS, 'XX', 'GT', at + LATER, receiver)
    end
  end
  return claimed
end

-- Count a failure of an address, which switches it off if it answered 410 or has failed for days.
local function note_failure(address, outcome, at)
  call('HSETNX', address, 'failing_since', at)
  local failing_for = at - call('HGET', address, 'failing_since')
  local reason = outcome == 'gone' and 'it answered 410'
  if not reason and failing_for >= C.SWITCH_OFF_AFTER then
    reason = 'it has failed for ' .. C.SWITCH_OFF_AFTER / DAY .. ' days'
  end
  if reason then
    call('HSETNX', address, 'off', at)
    call('HSETNX', address, 'because', reason)
  end
  call('PEXPIRE', address, C.RECEIVER_MEMORY)
end

local function log_attempt(key, attempt)
  local number = call('HINCRBY', key, 'logged', 1)
  call('HSET', key, 'attempt:' .. number, attempt)
  call('HDEL', key, 'attempt:' .. number - C.KEPT_ATTEMPTS)
end

-- Note an attempt (JSON) of an event's `claim`, whose outcome is 'delivered', 'retry', 'failed' or
-- 'gone', with the wait before the next one (ms). Returns 0 if the claim is no longer this
-- process's or the job was deleted, else 1.
function commands.settle(id, claim, attempt, outcome, wait)
  local key, at = C.DELIVERY .. id, now()
  local event = call('HMGET', key, 'claims', 'receiver', 'tenant', 'digest', 'name')
  if event[1] ~= claim then return 0 end
  local receiver, address = event[2], address_of(event[3], event[4])
  call('ZREM', C.FLYING .. receiver, id)
  if outcome == 'delivered' then
    call('DEL', C.FAILING .. receiver, address)
  else
    call('SET', C.FAILING .. receiver, 1, 'PX', FAILING_MEMORY)
  end
  if event[5] == 'progress' then
    call('DEL', key)
  else
    if outcome ~= 'delivered' then note_failure(address, outcome, at) end
    log_attempt(key, attempt)
    if outcome == 'retry' then
      call('HINCRBY', key, 'tries', 1)
      call('ZADD', C.DUE_EVENTS .. receiver, at + wait, id)
    else
      call('HSET', key, 'state', outcome == 'delivered' and outcome or 'failed')
      call('HDEL', key, 'forced')
    end
  end
  reschedule(receiver)
  wake_deliverer()
  return 1
end

-- A job's events, the oldest first. Returns of each its record and when it is due (ms), or ''.
function commands.deliveries(job)
  local found = {}
  for _, event in ipairs(call('ZRANGE', C.DELIVERIES_OF .. job, 0, -1)) do
    local receiver = call('HGET', C.DELIVERY .. event, 'receiver')
    local due = call('ZSCORE', C.DUE_EVENTS .. receiver, event) or ''
    table.insert(found, {call('HGETALL', C.DELIVERY .. event), due})
  end
  return found
end

-- Make an event due at once with all attempts before it, even for an address that is switched off;
-- one that is under way stays so. Returns 0 if there is no such event, else 1.
function commands.redeliver(event)
  local key = C.DELIVERY .. event
  local receiver = call('HGET', key, 'receiver')
  if not receiver then return 0 end
  if call('ZSCORE', C.FLYING .. receiver, event) then return 1 end
  call('HSET', key, 'state', 'pending', 'tries', 0, 'forced', 1)
  deliver(receiver, event, now())
  return 1
end

-- Returns since when (ms) and why an address is switched off, if it is.
function commands.switched_off(tenant, digest)
  return call('HMGET', address_of(tenant, digest), 'off', 'because')
end

-- An address answered as it should: switch it on, and give its host all its places. Returns whether
-- it was off.
function commands.switch_on(tenant, host, digest)
  local address, receiver = address_of(tenant, digest), tenant .. ':' .. host
  local was_off = call('HEXISTS', address, 'off')
  call('DEL', address, C.FAILING .. receiver)
  reschedule(receiver)
  return was_off
end

-- Returns how many events wait, how many of them are due, how many attempts are under way, when the
-- oldest due event was due (ms) or 0, and the time.
function commands.backlog()
  local waiting, due, in_flight, oldest, at = 0, 0, 0, 0, now()
  for _, receiver in ipairs(call('ZRANGE', C.DUE_RECEIVERS, 0, -1)) do
    local set = C.DUE_EVENTS .. receiver
    local first = earliest(set)
    waiting = waiting + call('ZCARD', set)
    due = due + call('ZCOUNT', set, '-inf', at)
    in_flight = in_flight + call('ZCARD', C.FLYING .. receiver)
    if first and first <= at and (oldest == 0 or first < oldest) then oldest = first end
  end
  return {waiting, due, in_flight, oldest, at}
end

return commands[ARGV[1]](unpack(ARGV, 2))
