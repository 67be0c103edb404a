-- Sets a key that ends by itself; may run when Redis is full.
-- KEYS: 1
-- ARGV: 1 value, 2 ms it lasts
-- Returns when it ends, ms since 1970.
local expiresAt = text(clock() + ARGV[2])
redis.call('SET', KEYS[1], ARGV[1], 'PXAT', expiresAt)
return expiresAt
