-- Prepended to the scripts that remove envelopes. A "box" holds the keys of one inbox: meta, inbox, share.

-- Empties an inbox.
local function empty(box, shared)
  redis.call('HSET', box.meta, 'count', '0', 'bytes', '0')
  redis.call('UNLINK', box.inbox)
  if not shared then return end
  redis.call('HDEL', box.meta, 'shared')
  redis.call('UNLINK', box.share)
end

-- Subtracts removed envelopes (sender -> count, sender -> bytes) from the senders' shares.
local function unshare(box, counts, sizes)
  local senders, held, gone = {}, {}, {}
  for from in pairs(counts) do senders[#senders + 1] = from end
  for at, share in ipairs(redis.call('HMGET', box.share, unpack(senders))) do
    local from = senders[at]
    local count, bytes = string.match(share or '0 0', '(%d+) (%d+)')
    count, bytes = count - counts[from], bytes - sizes[from]
    if count > 0 then
      held[#held + 1], held[#held + 2] = from, text(count) .. ' ' .. text(bytes)
    else
      gone[#gone + 1] = from
    end
  end
  if #held > 0 then redis.call('HSET', box.share, unpack(held)) end
  if #gone > 0 then redis.call('HDEL', box.share, unpack(gone)) end
end

-- Subtracts removed envelopes (as XRANGE returns them) from count, bytes and shares, and deletes an inbox that became
-- empty.
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
  unshare(box, counts, sizes)
end
