-- Joined in front of the scripts that look at who may write to a user, or change it.

-- Whether a user with this "access" and these rules takes anything from a sender.
local function mayWrite(access, rules, from)
  if not access then return true end
  if access == 'closed' then return false end
  local rule = redis.call('HGET', rules, from)
  if access == 'anyone' then return rule ~= 'blocked' end
  return rule == 'allowed' or (access == 'contacts' and rule == 'contact')
end

-- "access" follows from what the operator and the user decided; there is none where anybody may write, so that looking costs nothing.
local function settleAccess(meta)
  local closed, writers, blocks = unpack(redis.call('HMGET', meta, 'closed', 'writers', 'blocks'))
  local access = closed and 'closed' or writers or ((tonumber(blocks) or 0) > 0 and 'anyone')
  if access then
    redis.call('HSET', meta, 'access', access)
  else
    redis.call('HDEL', meta, 'access')
  end
end
