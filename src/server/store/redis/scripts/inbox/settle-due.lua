-- Notes that a user was looked at, unless it was marked anew meanwhile.
-- KEYS: 1 index of due times
-- ARGV: 1 user, 2 the due time it was looked at for, 3 when to look again, or ""
if redis.call('ZSCORE', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
if ARGV[3] == '' then return redis.call('ZREM', KEYS[1], ARGV[1]) end
return redis.call('ZADD', KEYS[1], ARGV[3], ARGV[1])
