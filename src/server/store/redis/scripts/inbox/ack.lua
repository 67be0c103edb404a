-- Removes acknowledged envelopes from inboxes, each up to a sequence number, a bounded number per call.
-- KEYS: for each inbox meta, inbox, share
-- ARGV: 1 most envelopes per inbox and call, then for each inbox epoch, owner, seq
-- Returns 1 one string per inbox: "acked", "more" (call again), "stale", "bad_ack" (this seq was not returned to the
--           HTTP claim), or "e" (failed)
--         2 what was removed: see releases()
local function trim(box, epoch, owner, upTo)
  local current, heldBy, returned, last, count, bytes, shared, held =
    unpack(redis.call('HMGET', box.meta, 'epoch', 'owner', 'returned', 'seq', 'count', 'bytes', 'shared', 'held'))
  if current ~= epoch or heldBy ~= owner then return 'stale' end
  local seq = tonumber(upTo)
  if returned and seq > tonumber(returned) then return 'bad_ack' end
  if (tonumber(count) or 0) == 0 then return 'acked' end
  if seq >= tonumber(last) then
    empty(box, shared, held, count, bytes)
    return 'acked'
  end
  local entries = redis.call('XRANGE', box.inbox, '-', upTo .. '-0', 'COUNT', ARGV[1])
  if #entries == 0 then return 'acked' end
  redis.call('XTRIM', box.inbox, 'MINID', '=', text(string.match(entries[#entries][1], '^%d+') + 1) .. '-0')
  unaccount(box, entries)
  return #entries == tonumber(ARGV[1]) and 'more' or 'acked'
end

local outcomes = {}
for index = 1, #KEYS / 3 do
  local key, at = index * 3 - 2, index * 3 - 1
  local box = { meta = KEYS[key], inbox = KEYS[key + 1], share = KEYS[key + 2] }
  local done, outcome = pcall(trim, box, ARGV[at], ARGV[at + 1], ARGV[at + 2])
  outcomes[index] = done and outcome or 'e'
end
return { outcomes, releases() }
