-- Removes expired envelopes from an inbox, a bounded part per call. Several nodes may believe that they hold the lock:
-- the lower fencing number loses.
-- KEYS: 1 meta, 2 inbox, 3 share
-- ARGV: 1 fencing number
-- Returns 1 "overtaken", "leaving" (a deletion is incomplete), "more" (call again), or the time of the next check: ms
--           since 1970, or "" for none
--         2 what was removed: see releases()
local fence, leaving = unpack(redis.call('HMGET', KEYS[1], 'sweepFence', 'leaving'))
if (tonumber(fence) or 0) > tonumber(ARGV[1]) then return { 'overtaken', {} } end
redis.call('HSET', KEYS[1], 'sweepFence', ARGV[1])
if leaving then return { 'leaving', {} } end
if not sweep({ meta = KEYS[1], inbox = KEYS[2], share = KEYS[3] }, clock()) then return { 'more', releases() } end
local expires = redis.call('HGET', KEYS[1], 'expires')
if expires then
  redis.call('HSET', KEYS[1], 'due', expires)
else
  redis.call('HDEL', KEYS[1], 'due')
end
return { expires or '', releases() }
