-- Joined in front of the scripts that remove envelopes. KEYS: 1 meta, 2 inbox, 3 share.

-- Takes the envelopes of one sender off its share.
local function unshare(from, count, bytes)
  local held, heldBytes = string.match(redis.call('HGET', KEYS[3], from) or '0 0', '(%d+) (%d+)')
  count, bytes = held - count, heldBytes - bytes
  if count > 0 then
    redis.call('HSET', KEYS[3], from, text(count) .. ' ' .. text(bytes))
  else
    redis.call('HDEL', KEYS[3], from)
  end
end

-- Takes these envelopes (as XRANGE gives them) off the accounts, and forgets an inbox that became empty.
local function unaccount(entries)
  if #entries == 0 then return end
  local count, bytes = unpack(redis.call('HMGET', KEYS[1], 'count', 'bytes'))
  local counts, sizes, total = {}, {}, 0
  for _, entry in ipairs(entries) do
    local from, size = string.match(entry[2][2], '^%S+ (%S+) .* (%d+)$')
    counts[from] = (counts[from] or 0) + 1
    sizes[from] = (sizes[from] or 0) + size
    total = total + size
  end
  local left = count - #entries
  redis.call('HSET', KEYS[1], 'count', text(left), 'bytes', text(bytes - total))
  if left == 0 then
    redis.call('UNLINK', KEYS[2], KEYS[3])
  else
    for from, gone in pairs(counts) do unshare(from, gone, sizes[from]) end
  end
end
