-- What the gateway does with one tenant's jobs. Another tenant's job does not exist for it.
-- include shared/transitions.lua
-- include shared/turns.lua
-- include shared/deletion.lua

local commands = {}

-- A tenant's record in one list: its queue position or -1, then field, value, …  Only -1 if there
-- is no such job.
local function view(id, tenant)
  local job = call('HMGET', key_of(id), 'status', 'priority', 'tenant', 'for_model')
  if (job[3] or C.DEFAULT_TENANT) ~= tenant then return {-1} end
  local record = call('HGETALL', key_of(id))
  table.insert(record, 1, position_of(id, tenant, job[1], job[2], job[4]))
  return record
end

-- The version of a fingerprint's form, which precedes its colon; '' of the first one.
local function version_of(fingerprint) return string.match(fingerprint, '^(%d+):') or '' end

-- What an idempotency key led to before: 'replayed' or 'reused', then the view. Fingerprints of
-- different versions cannot be compared; the caller's word counts then.
local function earlier(tenant, digest, fingerprint)
  if digest == '' then return nil end
  local first = call('HMGET', C.IDEMPOTENCY .. digest, 'id', 'fingerprint')
  if not first[1] then return nil end
  local is_same = first[2] == fingerprint or version_of(first[2]) ~= version_of(fingerprint)
  return {is_same and 'replayed' or 'reused', view(first[1], tenant)}
end

-- Why no further job of a tenant may wait, if so: 'too_many' of its own do, or of all tenants
-- 'full'. A limit of '' is none.
local function refusal(tenant, max_queued, max_queued_of_all)
  local own, all = call('ZCARD', C.JOBS .. tenant .. ':queued'), 0
  if max_queued ~= '' and own >= tonumber(max_queued) then return 'too_many' end
  if max_queued_of_all == '' then return nil end
  for _, lane in ipairs(C.READY_KEYS) do all = all + call('ZCARD', lane) end
  return all >= tonumber(max_queued_of_all) and 'full'
end

-- `digest` of an idempotency key or ''. Returns what it led to before and the view, or nothing.
function commands.recall(tenant, digest, fingerprint)
  return earlier(tenant, digest, fingerprint) or {}
end

-- Note that objects of a job are about to be stored. The id waits in the trash until `submit` takes
-- it out, so that the objects of a job that is never submitted are found. `patience`: how long
-- storing may take. Returns 'reserved' or why not, then the view.
function commands.reserve(id, tenant, digest, fingerprint, max_queued, max_queued_of_all, patience)
  local known = earlier(tenant, digest, fingerprint)
  if known then return known end
  local refused = refusal(tenant, max_queued, max_queued_of_all)
  if refused then return {refused, view(id, tenant)} end
  call('ZADD', C.TRASH, now() + patience, id)
  return {'reserved', view(id, tenant)}
end

-- Make a job. `schema` of its record; `key_life` of the idempotency key and `life` of the job in
-- milliseconds; `is_reserved` is '1' after `reserve`; `uploads` as the record has them; then
-- further fields of the record. Returns 'created', the time and the queue position; or 'replayed',
-- 'reused', 'too_many', 'full', 'late' (the reserved objects may be deleted already) or
-- 'upload_gone', then the view.
function commands.submit(id, tenant, digest, fingerprint, max_queued, max_queued_of_all,
    max_running, key_life, life, schema, priority, is_reserved, uploads, ...)
  local at = now()
  local known = earlier(tenant, digest, fingerprint)
  if known then return known end
  local refused = refusal(tenant, max_queued, max_queued_of_all)
  if not refused and is_reserved == '1' and tonumber(call('ZSCORE', C.TRASH, id) or 0) <= at then
    refused = 'late'
  end
  if not refused and not use_uploads(tenant, uploads) then refused = 'upload_gone' end
  if refused then return {refused, view(id, tenant)} end
  if digest ~= '' then
    call('HSET', C.IDEMPOTENCY .. digest, 'id', id, 'fingerprint', fingerprint)
    call('PEXPIRE', C.IDEMPOTENCY .. digest, key_life)
  end
  if max_running == '' then
    call('HDEL', C.MAX_RUNNING, tenant)
  else
    call('HSET', C.MAX_RUNNING, tenant, max_running)
  end
  local index = C.JOBS .. tenant
  if call('EXISTS', index .. ':queued', index .. ':running') == 0 then begin_metering(tenant) end
  call('ZREM', C.TRASH, id)
  call('HINCRBY', C.TOTALS, 'accepted:' .. priority, 1)
  call('HSET', key_of(id), 'schema', schema, 'id', id, 'tenant', tenant, 'status', 'queued',
    'version', 1, 'created', at, 'expires', at + life, 'priority', priority, 'attempts', 0,
    'lost_leases', 0, 'fence', 0, 'uploads', uploads, ...)
  call('ZADD', index, 0, id)
  call('ZADD', index .. ':queued', 0, id)
  enqueue(id)
  wake()
  local model = call('HGET', key_of(id), 'for_model')
  return {'created', at, position_of(id, tenant, 'queued', priority, model)}
end

function commands.read(id, tenant) return view(id, tenant) end

-- Views of at most `limit` jobs, the newest first: of one `status` or '', with ids between `oldest`
-- or '-' and `newest` or '+' (both as ZRANGE has them), created between two times in ms or ''.
function commands.page(tenant, status, newest, oldest, created_after, created_before, limit)
  local index = C.JOBS .. tenant .. (status == '' and '' or ':' .. status)
  local from, page = newest, {}
  created_after = tonumber(created_after) or -1
  created_before = tonumber(created_before) or math.huge
  repeat
    local ids = call('ZRANGE', index, from, oldest, 'BYLEX', 'REV', 'LIMIT', 0, limit)
    for _, id in ipairs(ids) do
      local created = tonumber(call('HGET', key_of(id), 'created')) or 0
      if created > created_after and created < created_before then
        table.insert(page, view(id, tenant))
        if #page == tonumber(limit) then return page end
      end
      from = '(' .. id
    end
  until #ids < tonumber(limit)
  return page
end

-- End a queued job at once, a running one at its next denoising step. Returns the view.
function commands.cancel(id, tenant)
  local status = status_for(tenant, id)
  if status == 'queued' then finish(id, 'canceled') end
  if status == 'running' and call('HSETNX', key_of(id), 'cancel', 1) == 1 then
    change(id, 'cancel_requested', now())
  end
  return view(id, tenant)
end

-- Returns 'done' (the objects are to be deleted), 'not_found', or 'not_finished'.
function commands.delete(id, tenant)
  local status = status_for(tenant, id)
  if not status then return 'not_found' end
  if not is_final(status) then return 'not_finished' end
  forget_job(id)
  call('PUBLISH', C.CHANGES, id .. ' 0')
  return 'done'
end

return commands[ARGV[1]](unpack(ARGV, 2))
