-- Sets when a user is due for a check, unless it is due earlier already.
-- KEYS: 1 index of due times
-- ARGV: 1 user, 2 due time (ms since 1970), or "" and 3 the delay from now (ms)
local at = ARGV[2] ~= '' and ARGV[2] or text(clock() + ARGV[3])
return redis.call('ZADD', KEYS[1], 'LT', at, ARGV[1])
