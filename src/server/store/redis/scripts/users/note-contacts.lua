-- Adds "contact" rules for recipients of a user, if only its contacts may write to it. Existing rules stay.
-- KEYS: 1 meta, 2 rules
-- ARGV: 1 most rules, 2... recipients
if redis.call('HGET', KEYS[1], 'writers') ~= 'contacts' then return 0 end
local room = ARGV[1] - redis.call('HLEN', KEYS[2])
for at = 2, #ARGV do
  if room > 0 then room = room - redis.call('HSETNX', KEYS[2], ARGV[at], 'contact') end
end
return 1
