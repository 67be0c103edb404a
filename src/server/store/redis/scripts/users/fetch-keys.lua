-- Gives a user's keys to one who wants to write to it, with one one-time key of each kind while there are any and while they
-- are not asked for too often. The same request is answered alike for a while.
-- KEYS: 1 meta, 2 keys, 3 one-time keys, 4 one-time KEM keys, 5 this request's answer, 6 rules, 7 who took how often in this window
-- ARGV: 1 ms an answer is kept, 2 and 3 most takes in a window and its ms, 4 who asks, 5 most takes of one
-- Returns "unknown_user", "forbidden", "no_keys", or bundle, one-time key, KEM key ("" for none), how many are left of each, owner, node.
local live, lives, owner, node, access = unpack(redis.call('HMGET', KEYS[1], 'live', 'lives', 'owner', 'node', 'access'))
if live ~= '1' then return { 'unknown_user' } end
if not mayWrite(access, KEYS[6], ARGV[4]) then return { 'forbidden' } end
local kept = redis.call('GET', KEYS[5])
local answer = kept and cmsgpack.unpack(kept)
if answer and answer.lives == (lives or '0') then return answer.found end
local bundle, since, taken = unpack(redis.call('HMGET', KEYS[2], 'bundle', 'since', 'taken'))
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
local found = { 'found', bundle, key, kemKey }
redis.call('SET', KEYS[5], cmsgpack.pack({ lives = lives or '0', found = found }), 'PX', ARGV[1])
return { 'found', bundle, key, kemKey, redis.call('LLEN', KEYS[3]), redis.call('LLEN', KEYS[4]), owner and node or '' }
