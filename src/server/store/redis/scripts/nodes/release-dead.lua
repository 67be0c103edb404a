-- Takes a user away from a dead node. Several cleaners may believe that they hold the lock: the lower fencing number loses.
-- KEYS: 1 meta
-- ARGV: 1 the dead node, 2 fencing number, 3 the epoch from which on claims are later than its death was seen: it came back
-- Returns "released" also where the node has not got the user; "back"; or "overtaken".
local node, fence, epoch = unpack(redis.call('HMGET', KEYS[1], 'node', 'fence', 'epoch'))
if (tonumber(fence) or 0) > tonumber(ARGV[2]) then return 'overtaken' end
if node ~= ARGV[1] then return 'released' end
if tonumber(epoch) >= tonumber(ARGV[3]) then return 'back' end
redis.call('HDEL', KEYS[1], 'owner', 'node', 'until', 'returned')
redis.call('HSET', KEYS[1], 'fence', ARGV[2])
return 'released'
