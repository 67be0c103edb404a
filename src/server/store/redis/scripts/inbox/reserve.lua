-- Raises the reserved number, which never goes down, and returns it.
-- KEYS: 1 meta
-- ARGV: 1 number
local reserved = tonumber(redis.call('HGET', KEYS[1], 'reserved')) or 0
if tonumber(ARGV[1]) <= reserved then return text(reserved) end
redis.call('HSET', KEYS[1], 'reserved', ARGV[1])
return ARGV[1]
