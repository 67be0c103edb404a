-- Deletes what a user owns. Its name stays reserved for its key and its numbers go on. "leaving" stays until its tokens and indexes are done with, too.
-- KEYS: 1 user, 2 meta, 3 sessions, 4 tokens to end, 5... what goes as a whole
-- Returns false when there is no such user, else the owner and node of the claim it had.
local identity, deleted = unpack(redis.call('HMGET', KEYS[1], 'identity', 'deleted'))
if not identity or deleted then return false end
local owner, node = unpack(redis.call('HMGET', KEYS[2], 'owner', 'node'))
redis.call('HSET', KEYS[1], 'deleted', text(clock()))
redis.call('HDEL', KEYS[2], 'live', 'owner', 'node', 'until', 'returned', 'count', 'bytes', 'shared', 'seen', 'seenBefore', 'expires', 'sweptTo', 'sweptMin',
  'writers', 'blocks')
settleAccess(KEYS[2])
-- Answers to key fetches, kept for a while, are not those of the user that comes after.
redis.call('HINCRBY', KEYS[2], 'lives', 1)
redis.call('HSET', KEYS[2], 'leaving', '1')
if redis.call('EXISTS', KEYS[3]) == 1 then
  redis.call('ZUNIONSTORE', KEYS[4], 2, KEYS[4], KEYS[3])
end
redis.call('UNLINK', KEYS[3], unpack(KEYS, 5))
return { owner or '', node or '' }
