-- Gives up what a claim got whose answer never came, if that is what holds the inbox.
-- KEYS: 1 meta, 2 user
-- ARGV: 1 owner, 2 until when it may be granted (ms since 1970)
-- Returns 1, or 0 while it may still be granted: ask again.
local owner, live = unpack(redis.call('HMGET', KEYS[1], 'owner', 'live'))
local now = clock()
if owner ~= ARGV[1] then return now > tonumber(ARGV[2]) and 1 or 0 end
redis.call('HDEL', KEYS[1], 'owner', 'node', 'until', 'returned')
if live == '1' then redis.call('HSET', KEYS[2], 'lastSeenAt', text(now)) end
return 1
