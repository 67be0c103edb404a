-- Removes the entry of a dead node that has no claims any more, unless the node came back.
-- KEYS: 1 nodes
-- ARGV: 1 node
local deadline = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not deadline or tonumber(deadline) > clock() then return 0 end
return redis.call('ZREM', KEYS[1], ARGV[1])
