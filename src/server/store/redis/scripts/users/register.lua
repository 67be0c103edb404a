-- Claims a name for a key. The name of a deleted user stays reserved for its key.
-- KEYS: 1 user, 2 meta
-- ARGV: 1 identity, 2 "1" if a free name may be taken, 3 "loss" if the user returns because Redis may have lost it,
--       4 hash of the address
-- Returns "taken", "blocked", "same", "deleted", "free" (but the caller may not take it) or "created".
local identity, deleted = unpack(redis.call('HMGET', KEYS[1], 'identity', 'deleted'))
if identity and identity ~= ARGV[1] then return 'taken' end
if redis.call('HEXISTS', KEYS[2], 'closed') == 1 then return 'blocked' end
if identity and not deleted then
  -- Repairs a user of which only meta was lost.
  redis.call('HSETNX', KEYS[2], 'live', '1')
  return 'same'
end
-- Of a released name, only "lives" is left.
if ARGV[3] == 'loss' and (deleted or redis.call('HEXISTS', KEYS[2], 'lives') == 1) then return 'deleted' end
if ARGV[2] ~= '1' then return 'free' end
local now = text(clock())
redis.call('HSET', KEYS[1], 'identity', ARGV[1], 'registeredAt', now, 'lastSeenAt', now)
if ARGV[4] ~= '' then redis.call('HSET', KEYS[1], 'origin', ARGV[4]) end
redis.call('HDEL', KEYS[1], 'deleted')
redis.call('HSET', KEYS[2], 'live', '1')
return 'created'
