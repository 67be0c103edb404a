-- An invite is used by one name and key; these may use it again, since they may not have heard that they did.
-- KEYS: 1 invite
-- ARGV: 1 who uses it
local user = redis.call('GET', KEYS[1])
if not user or (user ~= '' and user ~= ARGV[1]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'KEEPTTL')
return 1
