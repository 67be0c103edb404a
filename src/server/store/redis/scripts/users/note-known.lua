-- Records that a user wrote to others: if memory is scarce, they may still write to it.
-- KEYS: 1 meta, 2 known peers
-- ARGV: 1 most known peers, 2... recipients
-- Returns how many peers were added.
if redis.call('HGET', KEYS[1], 'live') ~= '1' then return 0 end
local held, added = redis.call('HLEN', KEYS[2]), 0
for at = 2, #ARGV do
  if held + added >= tonumber(ARGV[1]) then break end
  added = added + redis.call('HSETNX', KEYS[2], ARGV[at], '1')
end
return added
