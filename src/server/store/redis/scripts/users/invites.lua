-- A page of the index of invites: "when it expires, 16 digits" " " "hash". What has expired leaves it.
-- KEYS: 1 index
-- ARGV: 1 where the page before ended, or "", 2 most of one page
redis.call('ZREMRANGEBYLEX', KEYS[1], '-', '(' .. string.format('%016.0f', clock()))
return redis.call('ZRANGE', KEYS[1], ARGV[1] == '' and '-' or '(' .. ARGV[1], '+', 'BYLEX', 'LIMIT', 0, ARGV[2])
