-- Joined in front of every script. What a user owns, all in one slot:
--   aim:{u}:user   hash   identity, registeredAt, lastSeenAt, deleted
--   aim:{u}:meta   hash   live, lives (how often it was deleted); seq (last given), epoch (last given), count and bytes of the inbox; who claims it: owner, node, and for
--                         HTTP until and returned; seen and seenBefore (the windows of the newest dedupe entry, and of the one in the other hash); reserved; fence and sweepFence; expires (nothing in the
--                         inbox expires before), due (when the index of due times has it), sweptTo and sweptMin (a look for what is expired, cut short);
--                         leaving (its deletion is not complete); writers (who may write to it: nothing for anyone), blocks (how many it blocked),
--                         closed (an operator blocked it), and what follows from these, access: nothing where anybody may write
--   aim:{u}:inbox  stream id seq-0, fields e ("id from kind prev sentAt expiresAt bytes") and b (body)
--   aim:{u}:share  hash   sender -> "count bytes" of what waits from it; kept from when there is so much that one could be over its share (meta: shared)
--   aim:{u}:seen:0, :1    "id from" -> "seq fingerprint", by turns, each for one dedupe window and the one after it
--   aim:{u}:card   hash   card, counter, capabilities (by spaces)
--   aim:{u}:rules  hash   other user -> "allowed", "blocked" or "contact"
--   aim:{u}:ended  sorted set of the tokens that a deletion still has to end
-- Numbers are doubles: only %.0f prints them whole.

local function clock()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function text(number)
  return string.format('%.0f', number)
end

-- Numbers follow the clock, so that none is given twice after Redis lost its last writes.
local function after(last, now)
  return math.max((tonumber(last) or 0) + 1, now * 1024)
end
