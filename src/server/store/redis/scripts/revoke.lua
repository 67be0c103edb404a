-- Tells every node that a token ended; may run when Redis is full.
-- KEYS: 1 stream of ended tokens
-- ARGV: 1 token hash, 2 ms that it is kept there
redis.call('XADD', KEYS[1], 'MINID', '~', text(clock() - ARGV[2]), '*', 'token', ARGV[1])
return 1
