-- Releases a claim whose request got no answer, if this claim holds the inbox.
-- KEYS: 1 meta, 2 user
-- ARGV: 1 owner, 2 time until which the claim can still be granted (ms since 1970)
-- Returns 1, or 0 while the claim can still be granted: call again.
local owner, live = unpack(redis.call('HMGET', KEYS[1], 'owner', 'live'))
local now = clock()
if owner ~= ARGV[1] then return now > tonumber(ARGV[2]) and 1 or 0 end
redis.call('HDEL', KEYS[1], 'owner', 'node', 'until', 'returned')
if live == '1' then redis.call('HSET', KEYS[2], 'lastSeenAt', text(now)) end
return 1
