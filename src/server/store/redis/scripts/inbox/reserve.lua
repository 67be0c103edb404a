-- Raises the reserved numbers, which never go down: the highest one that the user signed, and the highest one without a
-- signature, from older clients. A number above the bound is of an older release, and counts as none.
-- KEYS: 1 meta
-- ARGV: 1 number, 2 and 3 the halves of its signature, or "", 4 most that a number without a signature rises, 5 its
--       bound
-- Returns the values of "reserved", "signed", "sign1" and "sign2" in meta.
local reserved, signed = unpack(redis.call('HMGET', KEYS[1], 'reserved', 'signed'))
reserved, signed = tonumber(reserved) or 0, tonumber(signed) or 0
local wanted, bound = tonumber(ARGV[1]), tonumber(ARGV[5])
if reserved > bound then reserved = 0 end
if ARGV[2] ~= '' then
  if wanted > signed then
    redis.call('HSET', KEYS[1], 'signed', ARGV[1], 'sign1', ARGV[2], 'sign2', ARGV[3], 'reserved', text(reserved))
  end
else
  local most = math.min(math.max(reserved, math.min(signed, bound)) + ARGV[4], bound)
  if wanted > reserved then redis.call('HSET', KEYS[1], 'reserved', text(math.min(wanted, most))) end
end
return redis.call('HMGET', KEYS[1], 'reserved', 'signed', 'sign1', 'sign2')
