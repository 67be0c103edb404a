-- Stores keys that a user publishes.
-- KEYS: 1 meta, 2 keys, 3 one-time keys, 4 one-time KEM keys
-- ARGV: 1 bundle or "", 2 its counter, 3 most one-time keys, 4 most KEM keys, 5 "1" if the keys replace all held ones,
--       6 number of one-time keys that follow; then the one-time keys and the KEM keys, each "id key..."
-- Returns false if the stored bundle is newer, else the number of keys of each kind, 1 if the pools were replaced (else
-- 0), and the seconds since they were replaced before (-1 if they were not).
local function fill(pool, full, first, last)
  local held = redis.call('LRANGE', pool, 0, -1)
  local ids = {}
  for _, key in ipairs(held) do ids[string.match(key, '^%d+')] = true end
  for at = first, last do
    local id = string.match(ARGV[at], '^%d+')
    if #held < full and not ids[id] then
      ids[id] = true
      held[#held + 1] = ARGV[at]
      redis.call('RPUSH', pool, ARGV[at])
    end
  end
end

if redis.call('HGET', KEYS[1], 'live') ~= '1' then return { 0, 0, 0, -1 } end
if ARGV[1] ~= '' then
  local counter = tonumber(redis.call('HGET', KEYS[2], 'counter')) or 0
  if tonumber(ARGV[2]) < counter then return false end
  redis.call('HSET', KEYS[2], 'bundle', ARGV[1], 'counter', ARGV[2])
end
local replaced, since = 0, -1
if ARGV[5] == '1' then
  local now = clock()
  local before = tonumber(redis.call('HGET', KEYS[2], 'replaced'))
  if before then since = math.max(0, math.floor((now - before) / 1000)) end
  replaced = 1
  redis.call('DEL', KEYS[3], KEYS[4])
  -- "pool" makes `fetch-keys` forget the stored answers, which contain keys of the old pools.
  redis.call('HSET', KEYS[2], 'replaced', text(now), 'pool', text(now))
end
local middle = 6 + ARGV[6]
fill(KEYS[3], tonumber(ARGV[3]), 7, middle)
fill(KEYS[4], tonumber(ARGV[4]), middle + 1, #ARGV)
return { redis.call('LLEN', KEYS[3]), redis.call('LLEN', KEYS[4]), replaced, since }
