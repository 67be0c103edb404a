-- Blocks or unblocks a user. The block belongs to the name: it outlives the user.
-- KEYS: 1 user, 2 meta
-- ARGV: 1 "1" to block, "" to unblock
-- Returns 1 if the name is registered, or is blocked although it was released; else 0.
if redis.call('HEXISTS', KEYS[1], 'identity') + redis.call('HEXISTS', KEYS[2], 'closed') == 0 then return 0 end
if ARGV[1] == '1' then
  redis.call('HSET', KEYS[2], 'closed', '1')
else
  redis.call('HDEL', KEYS[2], 'closed')
end
settleAccess(KEYS[2])
return 1
