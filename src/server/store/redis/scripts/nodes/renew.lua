-- Renews a node's lease.
-- KEYS: 1 nodes
-- ARGV: 1 node, 2 ms it lasts
-- Returns now, "lapsed" or "kept", then each node and when its lease ends. A node that is not there is a new one, or was cleaned up after.
local now = clock()
local before = redis.call('ZSCORE', KEYS[1], ARGV[1])
redis.call('ZADD', KEYS[1], text(now + ARGV[2]), ARGV[1])
local state = before and tonumber(before) > now and 'kept' or 'lapsed'
return { text(now), state, unpack(redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')) }
