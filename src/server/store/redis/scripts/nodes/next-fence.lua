-- Returns a fencing number that is higher than all previous ones.
-- KEYS: 1 last number
local fence = text(after(redis.call('GET', KEYS[1]), clock()))
redis.call('SET', KEYS[1], fence)
return fence
