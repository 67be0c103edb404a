-- Adds members to a set or to a lexical index, also when Redis is full.
-- KEYS: 1 set or index
-- ARGV: 1 "set" or "index", then members
local members = {}
for at = 2, #ARGV do
  if ARGV[1] == 'index' then members[#members + 1] = 0 end
  members[#members + 1] = ARGV[at]
end
return redis.call(ARGV[1] == 'set' and 'SADD' or 'ZADD', KEYS[1], unpack(members))
