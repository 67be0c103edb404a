-- Records that a user wrote to others: if memory is scarce, they may still write to it.
-- KEYS: 1 meta, 2 known peers
-- ARGV: 1 most known peers, 2... recipients
-- Returns by how many peers the set grew. If it is full, random peers leave.
if redis.call('HGET', KEYS[1], 'live') ~= '1' then return 0 end
local before = redis.call('SCARD', KEYS[2])
redis.call('SADD', KEYS[2], unpack(ARGV, 2))
local over = redis.call('SCARD', KEYS[2]) - ARGV[1]
if over > 0 then redis.call('SPOP', KEYS[2], over) end
return redis.call('SCARD', KEYS[2]) - before
