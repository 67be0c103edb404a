-- Prepended to the scripts that check or change who may write to a user.

-- Returns true if a user with this value of "access" and these rules accepts mail from a sender.
local function mayWrite(access, rules, from)
  if not access then return true end
  if access == 'closed' then return false end
  local rule = redis.call('HGET', rules, from)
  if access == 'anyone' then return rule ~= 'blocked' end
  return rule == 'allowed' or (access == 'contacts' and rule == 'contact')
end

-- Derives "access" from the settings of the operator and the user. The field is absent if anyone may write, so that the
-- check costs nothing.
local function settleAccess(meta)
  local closed, writers, blocks = unpack(redis.call('HMGET', meta, 'closed', 'writers', 'blocks'))
  local access = closed and 'closed' or writers or ((tonumber(blocks) or 0) > 0 and 'anyone')
  if access then
    redis.call('HSET', meta, 'access', access)
  else
    redis.call('HDEL', meta, 'access')
  end
end
