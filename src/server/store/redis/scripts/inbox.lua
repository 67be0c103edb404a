-- Joined in front of the scripts that remove envelopes. A box names its keys: meta, inbox, share.

-- Nothing waits any more.
local function empty(box, shared)
  redis.call('HSET', box.meta, 'count', '0', 'bytes', '0')
  redis.call('UNLINK', box.inbox)
  if not shared then return end
  redis.call('HDEL', box.meta, 'shared')
  redis.call('UNLINK', box.share)
end

-- Takes the envelopes of one sender off its share.
local function unshare(box, from, count, bytes)
  local held, heldBytes = string.match(redis.call('HGET', box.share, from) or '0 0', '(%d+) (%d+)')
  count, bytes = held - count, heldBytes - bytes
  if count > 0 then
    redis.call('HSET', box.share, from, text(count) .. ' ' .. text(bytes))
  else
    redis.call('HDEL', box.share, from)
  end
end

-- Takes these envelopes (as XRANGE gives them) off the accounts, and forgets an inbox that became empty.
local function unaccount(box, entries)
  if #entries == 0 then return end
  local count, bytes, shared = unpack(redis.call('HMGET', box.meta, 'count', 'bytes', 'shared'))
  local counts, sizes, total = {}, {}, 0
  for _, entry in ipairs(entries) do
    local from, size = string.match(entry[2][2], '^%S+ (%S+) .* (%d+)$')
    counts[from] = (counts[from] or 0) + 1
    sizes[from] = (sizes[from] or 0) + size
    total = total + size
  end
  local left = count - #entries
  if left == 0 then return empty(box, shared) end
  redis.call('HSET', box.meta, 'count', text(left), 'bytes', text(bytes - total))
  if not shared then return end
  for from, gone in pairs(counts) do unshare(box, from, gone, sizes[from]) end
end
