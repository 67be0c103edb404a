-- Checks whether a node's lease has ended.
-- KEYS: 1 nodes
-- ARGV: 1 node
-- Returns the lowest epoch of claims made from now on, or "" if the node is alive or has no entry.
local now = clock()
local deadline = redis.call('ZSCORE', KEYS[1], ARGV[1])
return deadline and tonumber(deadline) <= now and text(now * 1024) or ''
