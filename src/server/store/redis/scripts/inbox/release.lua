-- Releases a claim if it is still current.
-- KEYS: 1 meta, 2 user
-- ARGV: 1 epoch, 2 owner
local epoch, owner, live = unpack(redis.call('HMGET', KEYS[1], 'epoch', 'owner', 'live'))
if epoch ~= ARGV[1] or owner ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[1], 'owner', 'node', 'until', 'returned')
if live == '1' then redis.call('HSET', KEYS[2], 'lastSeenAt', text(clock())) end
return 1
