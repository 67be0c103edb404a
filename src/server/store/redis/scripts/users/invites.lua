-- Returns a page of the index of invites: entries "expiry hash", the expiry with 16 digits. Removes expired entries.
-- KEYS: 1 index
-- ARGV: 1 last entry of the previous page, or "", 2 entries per page
redis.call('ZREMRANGEBYLEX', KEYS[1], '-', '(' .. string.format('%016.0f', clock()))
return redis.call('ZRANGE', KEYS[1], ARGV[1] == '' and '-' or '(' .. ARGV[1], '+', 'BYLEX', 'LIMIT', 0, ARGV[2])
