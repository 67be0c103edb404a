-- Notes when a user is to be looked at, unless that is earlier already.
-- KEYS: 1 index of due times
-- ARGV: 1 user, 2 when (ms since 1970), or "" for now and 3 ms from now
local at = ARGV[2] ~= '' and ARGV[2] or text(clock() + ARGV[3])
return redis.call('ZADD', KEYS[1], 'LT', at, ARGV[1])
