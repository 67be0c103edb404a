-- Adds a user to a set and to a lexical index; may run when Redis is full.
-- KEYS: 1 set or index
-- ARGV: 1 "set" or "index", 2 user
if ARGV[1] == 'set' then return redis.call('SADD', KEYS[1], ARGV[2]) end
return redis.call('ZADD', KEYS[1], 0, ARGV[2])
