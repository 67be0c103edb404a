-- Appends up to 100 envelopes, each with its own result. The only script that a full Redis refuses, and as a whole.
-- KEYS: for each recipient meta, inbox, share, seen:0, seen:1
-- ARGV: 1 dedupe window (ms), 2 and 3 most envelopes and bytes of an inbox, 4 and 5 the same of one sender,
--       then for each item: recipient (from 1), stream, from, id, kind, ttl (ms), fingerprint, body
-- Returns now; one string an item: "s seq prev" stored, "r seq" stored before, "u" unknown user, "i" id reused,
--         "f" inbox full, "e" failed (a key of this inbox is not what it should be); one string a recipient: "" or "node epoch" of who listens.
local now = clock()
local windowMs = tonumber(ARGV[1])
local window = math.floor(now / windowMs)
local maxCount, maxBytes = tonumber(ARGV[2]), tonumber(ARGV[3])
local maxSenderCount, maxSenderBytes = tonumber(ARGV[4]), tonumber(ARGV[5])
local recipients, blocked = {}, {} -- blocked: why a stream may not write to a recipient any more

local function load(index)
  local key = (index - 1) * 5
  local meta = redis.call('HMGET', KEYS[key + 1], 'live', 'seq', 'count', 'bytes', 'seen', 'owner', 'node', 'epoch', 'until')
  local current = window % 2
  return {
    meta = KEYS[key + 1], inbox = KEYS[key + 2], share = KEYS[key + 3],
    seen = KEYS[key + 4 + current], seenBefore = KEYS[key + 5 - current],
    live = meta[1] == '1', seq = tonumber(meta[2]) or 0, count = tonumber(meta[3]) or 0, bytes = tonumber(meta[4]) or 0,
    seenAt = tonumber(meta[5]) or 0, owner = meta[6], node = meta[7], epoch = meta[8], deadline = tonumber(meta[9]) or 0,
    shares = {}, changed = false,
  }
end

local function findSeen(to, field)
  if to.seenAt < window - 1 then return false end
  local seen = to.seenAt >= window and redis.call('HGET', to.seen, field)
  return seen or redis.call('HGET', to.seenBefore, field)
end

local function shareOf(to, from)
  if not to.shares[from] then
    local held = to.count > 0 and redis.call('HGET', to.share, from)
    local count, bytes = string.match(held or '0 0', '(%d+) (%d+)')
    to.shares[from] = { count = tonumber(count), bytes = tonumber(bytes) }
  end
  return to.shares[from]
end

local function isFull(to, share, size)
  return to.count >= maxCount or to.bytes + size > maxBytes
    or share.count >= maxSenderCount or share.bytes + size > maxSenderBytes
end

local function remember(to, field, value)
  redis.call('HSET', to.seen, field, value)
  if to.seenAt < window then
    redis.call('PEXPIREAT', to.seen, text((window + 2) * windowMs))
    to.seenAt = window
  end
end

local function append(at)
  local index = tonumber(ARGV[at])
  local to = recipients[index] or load(index)
  recipients[index] = to
  if not to.live then return 'u' end
  local from, id, fingerprint, body = ARGV[at + 2], ARGV[at + 3], ARGV[at + 6], ARGV[at + 7]
  local field = from .. ' ' .. id
  local seen = findSeen(to, field)
  if seen then
    local seq, before = string.match(seen, '(%d+) (.*)')
    return before == fingerprint and 'r ' .. seq or 'i'
  end
  local share, size = shareOf(to, from), #body
  if isFull(to, share, size) then return 'f' end
  local seq, prev = after(to.seq, now), to.seq
  local envelope = id .. ' ' .. from .. ' ' .. ARGV[at + 4] .. ' ' .. text(prev) .. ' ' .. text(now)
    .. ' ' .. text(now + ARGV[at + 5]) .. ' ' .. size
  redis.call('XADD', to.inbox, text(seq) .. '-0', 'e', envelope, 'b', body)
  to.seq, to.count, to.bytes, to.changed = seq, to.count + 1, to.bytes + size, true
  share.count, share.bytes, share.changed = share.count + 1, share.bytes + size, true
  remember(to, field, text(seq) .. ' ' .. fingerprint)
  return 's ' .. text(seq) .. ' ' .. text(prev)
end

local function save(to)
  redis.call('HSET', to.meta, 'seq', text(to.seq), 'count', text(to.count), 'bytes', text(to.bytes), 'seen', text(to.seenAt))
  local shares = {}
  for from, share in pairs(to.shares) do
    if share.changed then
      shares[#shares + 1] = from
      shares[#shares + 1] = text(share.count) .. ' ' .. text(share.bytes)
    end
  end
  redis.call('HSET', to.share, unpack(shares))
end

local function listener(to)
  if not to or not to.owner then return '' end
  if string.sub(to.owner, 1, 1) == 'h' and to.deadline <= now then return '' end
  return to.node .. ' ' .. to.epoch
end

-- After a refusal that a retry may mend, later ones of the stream to that recipient are refused alike: none overtakes.
local function appendNext(at)
  local pair = ARGV[at + 1] .. ' ' .. ARGV[at]
  if blocked[pair] then return blocked[pair] end
  local done, result = pcall(append, at)
  if not done then result = 'e' end
  if result == 'f' or result == 'e' then blocked[pair] = result end
  return result
end

local results, listeners, failed = {}, {}, {}
for at = 6, #ARGV, 8 do results[#results + 1] = appendNext(at) end
for index = 1, #KEYS / 5 do
  local to = recipients[index]
  if to and to.changed then failed[tostring(index)] = not pcall(save, to) end
  listeners[index] = listener(to)
end
for number in ipairs(results) do
  if failed[ARGV[8 * number - 2]] then results[number] = 'e' end
end
return { text(now), results, listeners }
