-- Renews a node's lease.
-- KEYS: 1 nodes
-- ARGV: 1 node, 2 ms it lasts
-- Returns now, then each node and when its lease ends.
local now = clock()
redis.call('ZADD', KEYS[1], text(now + ARGV[2]), ARGV[1])
return { text(now), unpack(redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')) }
