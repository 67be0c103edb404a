-- Notes a user's token, in the order they were made.
-- KEYS: 1 meta, 2 sessions
-- ARGV: 1 token hash, 2 when it ends (ms since 1970), 3 most tokens
-- Returns false when there is no such user (any more) or it is blocked, else the tokens that are too many, oldest first.
local live, closed = unpack(redis.call('HMGET', KEYS[1], 'live', 'closed'))
if live ~= '1' or closed then return false end
local time = redis.call('TIME')
redis.call('ZADD', KEYS[2], time[1] * 1000000 + time[2], ARGV[1])
local over = redis.call('ZCARD', KEYS[2]) - ARGV[3]
-- The index goes with the last token that it may name.
local lasts = redis.call('PEXPIRETIME', KEYS[2])
if lasts < tonumber(ARGV[2]) then redis.call('PEXPIREAT', KEYS[2], ARGV[2]) end
return over > 0 and redis.call('ZRANGE', KEYS[2], 0, over - 1) or {}
