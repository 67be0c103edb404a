-- Trims an inbox up to a number, a bounded part at a time.
-- KEYS: 1 meta, 2 inbox, 3 share
-- ARGV: 1 epoch, 2 owner, 3 seq, 4 most envelopes of one call
-- Returns "acked", "more" (call again), "stale", or "bad_ack": an HTTP claim acknowledges only what it was given.
local epoch, owner, returned, last, count = unpack(redis.call('HMGET', KEYS[1], 'epoch', 'owner', 'returned', 'seq', 'count'))
if epoch ~= ARGV[1] or owner ~= ARGV[2] then return 'stale' end
local seq = tonumber(ARGV[3])
if returned and seq > tonumber(returned) then return 'bad_ack' end
if (tonumber(count) or 0) == 0 then return 'acked' end

if seq >= tonumber(last) then
  redis.call('UNLINK', KEYS[2], KEYS[3])
  redis.call('HSET', KEYS[1], 'count', '0', 'bytes', '0')
  return 'acked'
end

local entries = redis.call('XRANGE', KEYS[2], '-', ARGV[3] .. '-0', 'COUNT', ARGV[4])
if #entries == 0 then return 'acked' end
redis.call('XTRIM', KEYS[2], 'MINID', '=', text(string.match(entries[#entries][1], '^%d+') + 1) .. '-0')
unaccount(entries)
return #entries == tonumber(ARGV[4]) and 'more' or 'acked'
