-- Notes with a user that the index of due times knows it.
-- KEYS: 1 meta
-- ARGV: 1 when (ms since 1970)
return redis.call('HSET', KEYS[1], 'due', ARGV[1])
