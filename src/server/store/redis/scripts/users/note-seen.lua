-- Records that a user was seen now.
-- KEYS: 1 meta, 2 user
-- Returns 1, or 0 if the user does not exist.
if redis.call('HGET', KEYS[1], 'live') ~= '1' then return 0 end
redis.call('HSET', KEYS[2], 'lastSeenAt', text(clock()))
return 1
