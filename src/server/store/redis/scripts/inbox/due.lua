-- Who is to be looked at by now.
-- KEYS: 1 index of due times
-- ARGV: 1 most users
-- Returns each user and its due time, earliest first.
return redis.call('ZRANGE', KEYS[1], '-inf', text(clock()), 'BYSCORE', 'LIMIT', 0, ARGV[1], 'WITHSCORES')
