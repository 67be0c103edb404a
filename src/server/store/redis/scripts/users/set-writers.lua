-- Sets who may write to a user. "contact" rules are removed when the setting is no longer "contacts".
-- KEYS: 1 meta, 2 rules
-- ARGV: 1 "anyone", "contacts" or "allowlist"
if redis.call('HGET', KEYS[1], 'live') ~= '1' then return 0 end
if ARGV[1] ~= 'contacts' and redis.call('HGET', KEYS[1], 'writers') == 'contacts' then
  local rules = redis.call('HGETALL', KEYS[2])
  for at = 1, #rules, 2 do
    if rules[at + 1] == 'contact' then redis.call('HDEL', KEYS[2], rules[at]) end
  end
end
if ARGV[1] == 'anyone' then
  redis.call('HDEL', KEYS[1], 'writers')
else
  redis.call('HSET', KEYS[1], 'writers', ARGV[1])
end
settleAccess(KEYS[1])
return 1
