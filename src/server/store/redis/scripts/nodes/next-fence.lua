-- Gives a fencing number, higher than every one before.
-- KEYS: 1 last number
local fence = text(after(redis.call('GET', KEYS[1]), clock()))
redis.call('SET', KEYS[1], fence)
return fence
