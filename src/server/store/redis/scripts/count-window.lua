-- Counts one more use in a window that begins with the first.
-- KEYS: 1 counter
-- ARGV: 1 ms of the window
local count = redis.call('INCR', KEYS[1])
if count == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return count
