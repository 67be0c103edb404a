-- Reads what a listing shows of users, with one call for many.
-- KEYS: for each user user, meta
-- Returns for each user identity, registeredAt, lastSeenAt, deleted, owner, node, closed: "" for a missing field
local found = {}
for at = 1, #KEYS, 2 do
  for _, value in ipairs(redis.call('HMGET', KEYS[at], 'identity', 'registeredAt', 'lastSeenAt', 'deleted')) do
    found[#found + 1] = value or ''
  end
  for _, value in ipairs(redis.call('HMGET', KEYS[at + 1], 'owner', 'node', 'closed')) do
    found[#found + 1] = value or ''
  end
end
return found
