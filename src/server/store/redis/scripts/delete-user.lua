-- Deletes what a user owns. Its name stays reserved for its key and its numbers go on.
-- KEYS: 1 user, 2 meta, 3 sessions, 4... what goes as a whole
-- Returns false when there is no such user, else the owner, node and epoch of the claim it had, and its tokens.
local identity, deleted = unpack(redis.call('HMGET', KEYS[1], 'identity', 'deleted'))
if not identity or deleted then return false end
local owner, node, epoch = unpack(redis.call('HMGET', KEYS[2], 'owner', 'node', 'epoch'))
local tokens = redis.call('ZRANGE', KEYS[3], 0, -1)
redis.call('HSET', KEYS[1], 'deleted', text(clock()))
redis.call('HDEL', KEYS[2], 'live', 'owner', 'node', 'until', 'returned', 'count', 'bytes', 'seen')
-- Answers to key fetches, kept for a while, are not those of the user that comes after.
redis.call('HINCRBY', KEYS[2], 'lives', 1)
redis.call('UNLINK', unpack(KEYS, 3))
return { owner or '', node or '', epoch or '0', unpack(tokens) }
