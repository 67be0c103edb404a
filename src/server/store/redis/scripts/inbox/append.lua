-- Appends up to 100 envelopes, each with its own result. A full Redis refuses the whole script.
-- It reads the data of a recipient once for all of its items, because a command costs as much as the rest of an item.
-- KEYS: for each recipient meta, inbox, share, seen:0, seen:1, rules, and known peers if memory is scarce
-- ARGV: 1 dedupe window (ms), 2 and 3 most envelopes and bytes of an inbox, 4 and 5 the same for one sender,
--       6 "1" if memory is scarce: strangers wait;
--       then for each recipient: number of items, and for each item stream, "id from", kind, ttl (ms), fingerprint,
--       body
-- Returns 1 now
--         2 one string per item: "s seq prev" stored, "r seq" stored before, "u" unknown user, "d" sender may not
--           write, "i" id reused, "f" inbox full, "w" memory is scarce, and the recipient never wrote to the sender,
--           "e" failed (a key of this inbox has a wrong type)
--         3 one string per recipient: "node epoch" of the claim, or ""
--         4 one string per recipient: when its mail must be checked for expiry, or "" if that is in the index already
--         5 expired envelopes that were removed: see releases()
local now = clock()
local nowText = text(now)
local windowMs = tonumber(ARGV[1])
local window = math.floor(now / windowMs)
local maxCount, maxBytes = tonumber(ARGV[2]), tonumber(ARGV[3])
local maxSenderCount, maxSenderBytes = tonumber(ARGV[4]), tonumber(ARGV[5])
-- In an inbox smaller than this, no sender can exceed its share, so no shares are kept.
local smallCount, smallBytes = math.min(64, maxSenderCount), math.min(262144, maxSenderBytes)
-- If a due time is this far in the past (ms), the index has lost the user.
local lostMs = 300000
local isScarce = ARGV[6] == '1'
local itemArgs, keysEach = 6, isScarce and 7 or 6
-- Longest "held" of a small inbox: a longer field would cost meta its compact encoding.
local maxHeldChars = 60

local function load(index)
  local key = (index - 1) * keysEach
  local meta = redis.call('HMGET', KEYS[key + 1], 'live', 'seq', 'count', 'bytes', 'seen', 'seenBefore', 'shared',
    'owner', 'node', 'epoch', 'until', 'expires', 'due', 'access', 'held')
  local count = tonumber(meta[3]) or 0
  local held = meta[15] or ''
  -- A node of an older release may have emptied the inbox.
  local stale = count == 0 and releaseHeld(held)
  local only = isOnly(held)
  local current = window % 2
  return {
    meta = KEYS[key + 1], inbox = KEYS[key + 2], share = KEYS[key + 3],
    seenKey = KEYS[key + 4 + current], seenBeforeKey = KEYS[key + 5 - current], rules = KEYS[key + 6],
    known = KEYS[key + 7],
    live = meta[1] == '1', seq = meta[2] or '0', count = count, bytes = tonumber(meta[4]) or 0,
    seenAt = tonumber(meta[5]) or 0, seenBefore = tonumber(meta[6]) or 0, shared = meta[7] == '1',
    owner = meta[8], node = meta[9], epoch = meta[10], deadline = tonumber(meta[11]) or 0,
    expires = tonumber(meta[12]) or 0, due = tonumber(meta[13]), access = meta[14],
    savedHeld = held, only = only and held, held = not stale and not only and parseHeld(held) or {},
    shares = {}, changed = stale, swept = false, stored = false,
  }
end

-- Returns the dedupe entries of all items: field -> "seq fingerprint".
local function findSeen(to, first, items)
  local known, fields = {}, {}
  local function look(key)
    for at, value in ipairs(redis.call('HMGET', key, unpack(fields))) do
      known[fields[at]] = known[fields[at]] or value
    end
  end
  for at = 0, items - 1 do fields[at + 1] = ARGV[first + at * itemArgs + 1] end
  if to.seenAt >= window then look(to.seenKey) end
  if to.seenAt == window - 1 or (to.seenAt >= window and to.seenBefore == window - 1) then look(to.seenBeforeKey) end
  return known
end

local function startShares(to, held)
  for _, share in pairs(held) do share.changed = true end
  to.shares, to.shared, to.changed, to.only, to.held = held, true, true, nil, {}
end

-- Counts the queued envelopes of each sender once. From then on the shares are kept.
local function countShares(to)
  redis.call('UNLINK', to.share)
  if to.only then return startShares(to, { [to.only] = { count = to.count, bytes = to.bytes } }) end
  local count, bytes = 0, 0
  for _, share in pairs(to.held) do count, bytes = count + share.count, bytes + share.bytes end
  if count == to.count and bytes == to.bytes then return startShares(to, to.held) end
  local from, held = '-', {}
  repeat
    local entries = redis.call('XRANGE', to.inbox, from, '+', 'COUNT', 100)
    for _, entry in ipairs(entries) do
      local sender, size = string.match(entry[2][2], '^%S+ (%S+) .* (%d+)$')
      local share = held[sender] or { count = 0, bytes = 0 }
      share.count, share.bytes = share.count + 1, share.bytes + size
      held[sender], from = share, '(' .. entry[1]
    end
  until #entries < 100
  startShares(to, held)
end

-- Reads the shares of all senders of this call.
local function findShares(to, first, items)
  local senders, asked = {}, {}
  for at = first + 1, first + items * itemArgs, itemArgs do
    local from = string.match(ARGV[at], ' (.*)')
    if not asked[from] then senders[#senders + 1], asked[from] = from, true end
  end
  for at, held in ipairs(redis.call('HMGET', to.share, unpack(senders))) do
    local count, bytes = string.match(held or '0 0', '(%d+) (%d+)')
    to.shares[senders[at]] = { count = tonumber(count), bytes = tonumber(bytes) }
  end
end

-- Loads a recipient, with the shares of the senders of this call.
local function open(index, first, items)
  local to = load(index)
  if to.live and to.shared then findShares(to, first, items) end
  return to
end

local function shareOf(to, from)
  to.shares[from] = to.shares[from] or { count = 0, bytes = 0 }
  return to.shares[from]
end

local function isSmall(to, size)
  return not to.shared and to.count < smallCount and to.bytes + size <= smallBytes
end

local function isFull(to, from, size)
  if to.count >= maxCount or to.bytes + size > maxBytes then return true end
  if isSmall(to, size) then return false end
  if not to.shared then countShares(to) end
  local share = shareOf(to, from)
  return share.count >= maxSenderCount or share.bytes + size > maxSenderBytes
end

local function save(to)
  local held = to.shared and '' or to.only or formatHeld(to.held)
  if #held > maxHeldChars then
    countShares(to)
    held = ''
  end
  redis.call('HSET', to.meta, 'seq', to.seq, 'count', text(to.count), 'bytes', text(to.bytes), 'expires',
    text(to.expires))
  if held ~= to.savedHeld then redis.call('HSET', to.meta, 'held', held) end
  if not to.shared then return end
  redis.call('HSET', to.meta, 'shared', '1')
  local shares = {}
  for from, share in pairs(to.shares) do
    if share.changed then
      shares[#shares + 1], shares[#shares + 2] = from, text(share.count) .. ' ' .. text(share.bytes)
    end
  end
  if #shares > 0 then redis.call('HSET', to.share, unpack(shares)) end
end

-- Removes expired envelopes, once per call. Writes the changes of this call first, and loads the recipient again
-- afterwards.
local function makeRoom(index, to, first, items)
  if to.swept or to.expires > now then return to end
  if to.changed then save(to) end
  sweep(to, now)
  local again = open(index, first, items)
  again.swept, again.stored, again.changed = true, to.stored, to.changed
  return again
end

local function remember(to, seen)
  if #seen == 0 then return end
  redis.call('HSET', to.seenKey, unpack(seen))
  if to.seenAt == window then return end
  redis.call('PEXPIREAT', to.seenKey, text((window + 2) * windowMs))
  redis.call('HSET', to.meta, 'seen', text(window), 'seenBefore', text(to.seenAt))
end

-- Adds an envelope to what its sender has here, before it is counted. Nothing changes for the only sender.
local function addHeld(to, from, size)
  if not to.shared then
    if to.count == 0 then
      to.only, to.held = from, {}
      return
    end
    if to.only then to.held = { [to.only] = { count = to.count, bytes = to.bytes } } end
    to.only = nil
  end
  local sums = to.shared and to.shares or to.held
  local sum = sums[from] or { count = 0, bytes = 0 }
  sum.count, sum.bytes, sum.changed = sum.count + 1, sum.bytes + size, true
  sums[from] = sum
end

local function store(to, from, field, at, prev)
  local body, size = ARGV[at + 5], #ARGV[at + 5]
  local seq, expiresAt = text(after(to.seq, now)), now + ARGV[at + 3]
  local envelope = field .. ' ' .. ARGV[at + 2] .. ' ' .. prev .. ' ' .. nowText .. ' ' .. text(expiresAt) .. ' ' .. size
  redis.call('XADD', to.inbox, seq .. '-0', 'e', envelope, 'b', body)
  if to.only ~= from or to.count == 0 then addHeld(to, from, size) end
  to.expires = to.count == 0 and expiresAt or math.min(to.expires, expiresAt)
  to.seq, to.count, to.bytes, to.changed, to.stored = seq, to.count + 1, to.bytes + size, true, true
  return seq
end

-- Returns true if the recipient ever wrote to the sender, or allowed it.
local function isKnown(to, from)
  if redis.call('HEXISTS', to.known, from) == 1 then return true end
  local rule = redis.call('HGET', to.rules, from)
  return rule == 'allowed' or rule == 'contact'
end

-- Appends the items of one recipient, in order. Everything that could fail is read before the first write.
-- After a refusal that a retry may resolve, later items of the stream get the same refusal, so that none overtakes.
local function appendAll(index, first, items, results)
  local to = open(index, first, items)
  if not to.live then
    for _ = 1, items do results[#results + 1] = 'u' end
    return to
  end
  local known, seen, refused = findSeen(to, first, items), {}, {}
  local prev = to.seq
  for at = first, first + (items - 1) * itemArgs, itemArgs do
    local stream, field, fingerprint = ARGV[at], ARGV[at + 1], ARGV[at + 4]
    local from = string.match(field, ' (.*)')
    local before = not refused[stream] and known[field]
    local result = refused[stream]
    if before then
      local seq, body = string.match(before, '(%d+) (.*)')
      to.stored = true
      result = body == fingerprint and 'r ' .. seq or 'i'
    elseif not result and not mayWrite(to.access, to.rules, from) then
      result = 'd'
    elseif not result and isScarce and not isKnown(to, from) then
      refused[stream], result = 'w', 'w'
    elseif not result then
      if isFull(to, from, #ARGV[at + 5]) then to = makeRoom(index, to, first, items) end
      if isFull(to, from, #ARGV[at + 5]) then
        refused[stream], result = 'f', 'f'
      else
        local seq = store(to, from, field, at, prev)
        known[field] = seq .. ' ' .. fingerprint
        seen[#seen + 1], seen[#seen + 2] = field, known[field]
        result, prev = 's ' .. seq .. ' ' .. prev, seq
      end
    end
    results[#results + 1] = result
  end
  remember(to, seen)
  if to.changed then save(to) end
  return to
end

local function listener(to)
  if not to or not to.owner then return '' end
  if string.sub(to.owner, 1, 1) == 'h' and to.deadline <= now then return '' end
  return to.node .. ' ' .. to.epoch
end

local function unmarked(to)
  if not to or not to.stored or to.count == 0 then return '' end
  if to.due and to.due <= to.expires and to.due > now - lostMs then return '' end
  return text(to.expires)
end

local results, listeners, due, at = {}, {}, {}, 7
for index = 1, #KEYS / keysEach do
  local items, before = tonumber(ARGV[at]), #results
  local done, to = pcall(appendAll, index, at + 1, items, results)
  if not done then
    to = nil
    for item = 1, items do results[before + item] = 'e' end
  end
  listeners[index], due[index] = listener(to), unmarked(to)
  at = at + 1 + items * itemArgs
end
return { nowText, results, listeners, due, releases() }
