-- Sets a key that expires, also when Redis is full.
-- KEYS: 1 key
-- ARGV: 1 value, 2 lifetime (ms)
-- Returns the time of expiry, ms since 1970.
local expiresAt = text(clock() + ARGV[2])
redis.call('SET', KEYS[1], ARGV[1], 'PXAT', expiresAt)
return expiresAt
