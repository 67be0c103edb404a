-- Renews a node's lease.
-- KEYS: 1 nodes
-- ARGV: 1 node, 2 length of the lease (ms)
-- Returns now; "kept" or "lapsed"; then each node and the end of its lease. "lapsed" includes a node without an entry:
-- it is new, or its claims were cleaned up.
local now = clock()
local before = redis.call('ZSCORE', KEYS[1], ARGV[1])
redis.call('ZADD', KEYS[1], text(now + ARGV[2]), ARGV[1])
local state = before and tonumber(before) > now and 'kept' or 'lapsed'
return { text(now), state, unpack(redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')) }
