-- Records that a user was checked, unless it was marked again meanwhile.
-- KEYS: 1 index of due times
-- ARGV: 1 user, 2 the due time of the check, 3 the next due time, or ""
if redis.call('ZSCORE', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
if ARGV[3] == '' then return redis.call('ZREM', KEYS[1], ARGV[1]) end
return redis.call('ZADD', KEYS[1], ARGV[3], ARGV[1])
