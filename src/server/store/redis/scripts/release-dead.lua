-- Takes a user away from a dead node. Several cleaners may believe that they hold the lock: the lower fencing number loses.
-- KEYS: 1 meta
-- ARGV: 1 the dead node, 2 fencing number
-- Returns 0 for a cleaner that was overtaken.
local node, fence = unpack(redis.call('HMGET', KEYS[1], 'node', 'fence'))
if (tonumber(fence) or 0) > tonumber(ARGV[2]) then return 0 end
if node ~= ARGV[1] then return 1 end
redis.call('HDEL', KEYS[1], 'owner', 'node', 'until', 'returned')
redis.call('HSET', KEYS[1], 'fence', ARGV[2])
return 1
