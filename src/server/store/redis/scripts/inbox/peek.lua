-- Checks whether inboxes contain envelopes above a sequence number.
-- KEYS: meta of each inbox
-- ARGV: for each inbox epoch, owner, seq
-- Returns one string per inbox: "some", "none", "stale", or "e" (failed).
local function peek(meta, epoch, owner, seq)
  local held, heldBy, last, count = unpack(redis.call('HMGET', meta, 'epoch', 'owner', 'seq', 'count'))
  if held ~= epoch or heldBy ~= owner then return 'stale' end
  local isWaiting = (tonumber(count) or 0) > 0 and (tonumber(last) or 0) > tonumber(seq)
  return isWaiting and 'some' or 'none'
end

local outcomes = {}
for index, meta in ipairs(KEYS) do
  local at = index * 3 - 2
  local done, outcome = pcall(peek, meta, ARGV[at], ARGV[at + 1], ARGV[at + 2])
  outcomes[index] = done and outcome or 'e'
end
return outcomes
