-- Tells every node something that it may not miss; may run when Redis is full.
-- KEYS: 1 stream
-- ARGV: 1 "token" (it ended), "writers" (a user changed who may write to it) or "drain" (a node is to give up), 2 which, 3 ms that it is kept there
redis.call('XADD', KEYS[1], 'MINID', '~', text(clock() - ARGV[3]), '*', ARGV[1], ARGV[2])
return 1
