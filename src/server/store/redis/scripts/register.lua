-- Claims a name for a key. A deleted user's name stays its key's.
-- KEYS: 1 user, 2 meta
-- ARGV: 1 identity, 2 "1" when a free name may be taken
-- Returns "taken", "same", "free" (and may not be taken) or "created".
local identity, deleted = unpack(redis.call('HMGET', KEYS[1], 'identity', 'deleted'))
if identity and identity ~= ARGV[1] then return 'taken' end
if identity and not deleted then return 'same' end
if ARGV[2] ~= '1' then return 'free' end
local now = text(clock())
redis.call('HSET', KEYS[1], 'identity', ARGV[1], 'registeredAt', now, 'lastSeenAt', now)
redis.call('HDEL', KEYS[1], 'deleted')
redis.call('HSET', KEYS[2], 'live', '1')
return 'created'
