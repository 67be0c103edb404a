-- Sets or removes a user's rule for one peer.
-- KEYS: 1 meta, 2 rules
-- ARGV: 1 peer, 2 "allowed", "blocked", or "" to remove the rule, 3 most rules
-- Returns "added", "changed", "removed", "same" (nothing to do) or "full".
if redis.call('HGET', KEYS[1], 'live') ~= '1' then return 'same' end
local before = redis.call('HGET', KEYS[2], ARGV[1])
if (before or '') == ARGV[2] then return 'same' end
if ARGV[2] == '' then
  redis.call('HDEL', KEYS[2], ARGV[1])
elseif not before and redis.call('HLEN', KEYS[2]) >= tonumber(ARGV[3]) then
  return 'full'
else
  redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
end
local more = (ARGV[2] == 'blocked' and 1 or 0) - (before == 'blocked' and 1 or 0)
if more ~= 0 then
  redis.call('HINCRBY', KEYS[1], 'blocks', more)
  settleAccess(KEYS[1])
end
if ARGV[2] == '' then return 'removed' end
return before and 'changed' or 'added'
