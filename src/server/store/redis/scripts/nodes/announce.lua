-- Writes an event that every node must see, also when Redis is full. The stream keeps a bounded number of events: a
-- node that missed some finds the gap.
-- KEYS: 1 stream
-- ARGV: 1 "token" (it was revoked), "writers" (a user changed who may write to it) or "drain" (a node should drain),
-- 2 the token hash, username or node id, 3 how long events are kept (ms), 4 most events that are kept
redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[4], '*', ARGV[1], ARGV[2])
redis.call('XTRIM', KEYS[1], 'MINID', '~', text(clock() - ARGV[3]))
return 1
