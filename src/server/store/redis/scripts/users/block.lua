-- Blocks a user, or lets it in again. It holds for the name, whatever becomes of the user.
-- KEYS: 1 user, 2 meta
-- ARGV: 1 "1" to block, "" to let in
-- Returns whether the name is registered, or blocked though it was released.
if redis.call('HEXISTS', KEYS[1], 'identity') + redis.call('HEXISTS', KEYS[2], 'closed') == 0 then return 0 end
if ARGV[1] == '1' then
  redis.call('HSET', KEYS[2], 'closed', '1')
else
  redis.call('HDEL', KEYS[2], 'closed')
end
settleAccess(KEYS[2])
return 1
