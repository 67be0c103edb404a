-- Uses an invite for one name and key. The same user may use it again, because the answer to the first use may be lost.
-- KEYS: 1 invite
-- ARGV: 1 "name identity" of the user
-- Returns 1 if the user may use it, else 0.
local user = redis.call('GET', KEYS[1])
if not user or (user ~= '' and user ~= ARGV[1]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'KEEPTTL')
return 1
