-- Whether a node's lease has ended, by now.
-- KEYS: 1 nodes
-- ARGV: 1 node
-- Returns the epoch that every claim from now on has at least, or "" for a node that lives, or that nobody knows any more.
local now = clock()
local deadline = redis.call('ZSCORE', KEYS[1], ARGV[1])
return deadline and tonumber(deadline) <= now and text(now * 1024) or ''
