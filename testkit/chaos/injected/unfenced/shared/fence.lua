-- Stands in for the shared file: any worker may write, and any state may follow any other.
-- include shared/records.lua

local function held(id, fence, ...) return call('HMGET', key_of(id), 'status', 'fence', ...) end

for _, successors in pairs(C.TRANSITIONS) do
  for state in pairs(C.TRANSITIONS) do successors[state] = true end
end
