-- Forgets a node that is dead and holds nothing any more, unless it came back.
-- KEYS: 1 nodes
-- ARGV: 1 node
local deadline = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not deadline or tonumber(deadline) > clock() then return 0 end
return redis.call('ZREM', KEYS[1], ARGV[1])
