-- Returns a user's bundle, with one one-time key of each kind if there is one and the limits allow it. A repeated
-- request gets the same one-time keys for a while.
-- KEYS: 1 meta, 2 keys, 3 one-time keys, 4 one-time KEM keys, 5 stored answer to this request, 6 rules,
--       7 one-time keys taken in this window by each requester
-- ARGV: 1 how long an answer is stored (ms), 2 most keys taken in a window, 3 length of the window (ms), 4 requester,
--       5 most keys taken by one requester in a window, 6 "1" if the requester is the user itself
-- Returns "unknown_user", "forbidden", "no_keys"; or "found", bundle, one-time key and KEM key ("" for none). A new
-- answer also has the number of keys left of each kind, and the node of the claim ("" for none).
local live, lives, owner, node, access = unpack(redis.call('HMGET', KEYS[1], 'live', 'lives', 'owner', 'node', 'access'))
if live ~= '1' then return { 'unknown_user' } end
if ARGV[6] ~= '1' and not mayWrite(access, KEYS[6], ARGV[4]) then return { 'forbidden' } end
local kept = redis.call('GET', KEYS[5])
local answer = kept and cmsgpack.unpack(kept)
local bundle, since, taken, pool = unpack(redis.call('HMGET', KEYS[2], 'bundle', 'since', 'taken', 'pool'))
local isCurrent = answer and answer.lives == (lives or '0') and (answer.pool or '') == (pool or '')
if isCurrent then return answer.found end
if not bundle then return { 'no_keys' } end

local now = clock()
if not since or now - since > tonumber(ARGV[3]) then
  since, taken = text(now), 0
  redis.call('DEL', KEYS[7])
end
local own = tonumber(redis.call('HGET', KEYS[7], ARGV[4])) or 0
local key, kemKey = '', ''
if tonumber(taken) < tonumber(ARGV[2]) and own < tonumber(ARGV[5]) then
  redis.call('HSET', KEYS[2], 'since', since, 'taken', text(taken + 1))
  redis.call('HSET', KEYS[7], ARGV[4], text(own + 1))
  redis.call('PEXPIRE', KEYS[7], ARGV[3])
  key = redis.call('LPOP', KEYS[3]) or ''
  kemKey = redis.call('LPOP', KEYS[4]) or ''
end
-- An answer without one-time keys can be given again without a record.
if key ~= '' or kemKey ~= '' then
  local found = { 'found', bundle, key, kemKey }
  redis.call('SET', KEYS[5], cmsgpack.pack({ lives = lives or '0', pool = pool or '', found = found }), 'PX', ARGV[1])
end
return { 'found', bundle, key, kemKey, redis.call('LLEN', KEYS[3]), redis.call('LLEN', KEYS[4]), owner and node or '' }
