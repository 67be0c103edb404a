-- Records the DOMAIN of the deployment once, also in a full Redis.
-- KEYS: 1 domain
-- ARGV: 1 domain of the caller
-- Returns the recorded domain.
redis.call('SET', KEYS[1], ARGV[1], 'NX')
return redis.call('GET', KEYS[1])
