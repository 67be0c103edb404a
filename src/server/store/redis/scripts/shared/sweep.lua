-- Appended to inbox.lua in the scripts that remove expired envelopes. An inbox is not sorted by expiry, so a pass reads
-- all of it. A long pass stops early, and the next call continues it (meta: sweptTo, sweptMin).
local sweepItems, sweepBytes, sweepChunk = 1000, 1048576, 32

-- Removes expired envelopes. Returns true if the pass is complete; "expires" in meta is then the time of the next
-- check.
local function sweep(box, now)
  local from, lowest = unpack(redis.call('HMGET', box.meta, 'sweptTo', 'sweptMin'))
  local seen, bytes, isOver, expired = 0, 0, false, {}
  lowest = tonumber(lowest) or math.huge
  repeat
    local entries = redis.call('XRANGE', box.inbox, from and '(' .. from or '-', '+', 'COUNT', sweepChunk)
    for _, entry in ipairs(entries) do
      local expiresAt, size = string.match(entry[2][2], '^.* (%d+) (%d+)$')
      if tonumber(expiresAt) <= now then
        expired[#expired + 1] = entry
      else
        lowest = math.min(lowest, expiresAt)
      end
      from, seen, bytes = entry[1], seen + 1, bytes + size
    end
    isOver = #entries < sweepChunk
  until isOver or seen >= sweepItems or bytes >= sweepBytes

  for _, entry in ipairs(expired) do redis.call('XDEL', box.inbox, entry[1]) end
  unaccount(box, expired)
  if not isOver then
    redis.call('HSET', box.meta, 'sweptTo', from)
    if lowest < math.huge then redis.call('HSET', box.meta, 'sweptMin', text(lowest)) end
    return false
  end
  redis.call('HDEL', box.meta, 'sweptTo', 'sweptMin')
  if lowest < math.huge then
    redis.call('HSET', box.meta, 'expires', text(lowest))
  else
    redis.call('HDEL', box.meta, 'expires')
  end
  return true
end
