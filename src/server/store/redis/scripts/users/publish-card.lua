-- Replaces a user's card, or removes it.
-- KEYS: 1 meta, 2 card
-- ARGV: 1 card or "", 2 its counter, 3 its capabilities, separated by spaces
-- Returns false if the stored card is newer, else the capabilities of the previous card.
local counter, before = unpack(redis.call('HMGET', KEYS[2], 'counter', 'capabilities'))
if ARGV[1] == '' or redis.call('HGET', KEYS[1], 'live') ~= '1' then
  redis.call('DEL', KEYS[2])
  return before or ''
end
if tonumber(ARGV[2]) < (tonumber(counter) or 0) then return false end
redis.call('HSET', KEYS[2], 'card', ARGV[1], 'counter', ARGV[2], 'capabilities', ARGV[3])
return before or ''
