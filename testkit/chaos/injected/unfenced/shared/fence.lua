-- Stands in for the service's own file: every worker may write, and every state may follow any other.
-- include shared/records.lua

local function held(id, fence, ...) return call('HMGET', key_of(id), 'status', 'fence', ...) end

for _, successors in pairs(C.TRANSITIONS) do
  for state in pairs(C.TRANSITIONS) do successors[state] = true end
end
