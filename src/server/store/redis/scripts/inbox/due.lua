-- Returns users that are due for a check, each with its due time, earliest first.
-- KEYS: 1 index of due times
-- ARGV: 1 most users
return redis.call('ZRANGE', KEYS[1], '-inf', text(clock()), 'BYSCORE', 'LIMIT', 0, ARGV[1], 'WITHSCORES')
