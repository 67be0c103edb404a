-- Adds a login to the user's index, which is sorted by creation time.
-- KEYS: 1 meta, 2 sessions, 3 user
-- ARGV: 1 token hash, 2 expiry (ms since 1970), 3 most logins, 4 hash of the address: kept for a user that has none,
--       because an older release registered it
-- Returns false if the user does not exist or is blocked, else the tokens above the limit, oldest first.
local live, closed = unpack(redis.call('HMGET', KEYS[1], 'live', 'closed'))
if live ~= '1' or closed then return false end
if ARGV[4] ~= '' then redis.call('HSETNX', KEYS[3], 'origin', ARGV[4]) end
local time = redis.call('TIME')
redis.call('ZADD', KEYS[2], time[1] * 1000000 + time[2], ARGV[1])
local over = redis.call('ZCARD', KEYS[2]) - ARGV[3]
-- The index expires with the last login in it.
local lasts = redis.call('PEXPIRETIME', KEYS[2])
if lasts < tonumber(ARGV[2]) then redis.call('PEXPIREAT', KEYS[2], ARGV[2]) end
return over > 0 and redis.call('ZRANGE', KEYS[2], 0, over - 1) or {}
