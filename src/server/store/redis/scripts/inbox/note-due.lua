-- Records in meta the user's time in the index of due times.
-- KEYS: 1 meta
-- ARGV: 1 due time (ms since 1970)
return redis.call('HSET', KEYS[1], 'due', ARGV[1])
