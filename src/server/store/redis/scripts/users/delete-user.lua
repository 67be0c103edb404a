-- Deletes the data of a user. The name stays reserved for its key, and numbers and epochs continue. "leaving" is set
-- until the user's tokens are revoked and its index entries removed.
-- KEYS: 1 user, 2 meta, 3 sessions, 4 tokens to revoke, 5 rules, 6 known peers, 7 inbox, 8 share, 9... more keys to
--       delete
-- Returns false if there is no such user; else owner and node of the claim it had ("" for none), the numbers of its
-- rules and known peers, and what was removed: see releases().
local identity, deleted = unpack(redis.call('HMGET', KEYS[1], 'identity', 'deleted'))
if not identity or deleted then return false end
local owner, node, count, bytes, held, shared =
  unpack(redis.call('HMGET', KEYS[2], 'owner', 'node', 'count', 'bytes', 'held', 'shared'))
local rules, known = redis.call('HLEN', KEYS[5]), redis.call('HLEN', KEYS[6])
if not shared and tonumber(count) then releaseHeld(held, count, bytes) end
if shared then releaseShares(KEYS[8]) end
redis.call('HSET', KEYS[1], 'deleted', text(clock()))
redis.call('HDEL', KEYS[2], 'live', 'owner', 'node', 'until', 'returned', 'count', 'bytes', 'shared', 'held', 'seen',
  'seenBefore', 'expires', 'sweptTo', 'sweptMin', 'writers', 'blocks')
settleAccess(KEYS[2])
-- Stored answers to key fetches must not be given for a later user of the name: fetch-keys.lua compares "lives".
redis.call('HINCRBY', KEYS[2], 'lives', 1)
redis.call('HSET', KEYS[2], 'leaving', '1')
if redis.call('EXISTS', KEYS[3]) == 1 then
  redis.call('ZUNIONSTORE', KEYS[4], 2, KEYS[4], KEYS[3])
end
redis.call('UNLINK', KEYS[3], unpack(KEYS, 5))
return { owner or '', node or '', rules, known, releases() }
