-- Frees the name of a deleted user for any key. Sequence numbers and epochs continue; the reserved numbers belong to
-- the old key and are deleted.
-- KEYS: 1 user, 2 meta
-- Returns "unknown", "live" (not deleted, or not completely) or "released".
local identity, deleted = unpack(redis.call('HMGET', KEYS[1], 'identity', 'deleted'))
if not identity then return 'unknown' end
if not deleted or redis.call('HEXISTS', KEYS[2], 'leaving') == 1 then return 'live' end
redis.call('DEL', KEYS[1])
redis.call('HDEL', KEYS[2], 'reserved', 'signed', 'sign1', 'sign2')
return 'released'
