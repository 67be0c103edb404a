-- Releases a dead node's claim of one user. Several nodes may believe that they hold the lock: the lower fencing number
-- loses.
-- KEYS: 1 meta
-- ARGV: 1 the dead node, 2 fencing number, 3 epoch: claims from it on were made after the death was seen
-- Returns "released", also if the node does not have the claim; "back" if the node came back and claimed again; or
-- "overtaken".
local node, fence, epoch = unpack(redis.call('HMGET', KEYS[1], 'node', 'fence', 'epoch'))
if (tonumber(fence) or 0) > tonumber(ARGV[2]) then return 'overtaken' end
if node ~= ARGV[1] then return 'released' end
if tonumber(epoch) >= tonumber(ARGV[3]) then return 'back' end
redis.call('HDEL', KEYS[1], 'owner', 'node', 'until', 'returned')
redis.call('HSET', KEYS[1], 'fence', ARGV[2])
return 'released'
