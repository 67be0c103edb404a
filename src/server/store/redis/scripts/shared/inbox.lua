-- Prepended to the scripts that remove envelopes. A "box" holds the keys of one inbox: meta, inbox, share.
-- Each removed envelope frees a part of its sender's budget. The budgets are in other slots, so the scripts return what
-- they removed, and the node settles it. Only what is written in "held" (a small inbox) or in "share" is returned: both
-- are written together with the envelopes.

-- "held" in meta tells who sent the envelopes of a small inbox: the name of their only sender, which stays when the
-- inbox becomes empty, or "sender count bytes" of each sender, separated by spaces.

-- What this call removed: sender -> count and bytes, and strings of "sender count bytes", one or several times.
local released, releasedTexts = {}, {}

local function release(from, count, bytes)
  local sum = released[from] or { count = 0, bytes = 0 }
  sum.count, sum.bytes = sum.count + count, sum.bytes + bytes
  released[from] = sum
end

-- Returns what this call removed, as strings of "sender count bytes", one or several times.
local function releases()
  for from, sum in pairs(released) do
    releasedTexts[#releasedTexts + 1] = from .. ' ' .. text(sum.count) .. ' ' .. text(sum.bytes)
  end
  return releasedTexts
end

-- Returns true if "held" is the name of the only sender.
local function isOnly(held)
  return held and held ~= '' and not string.find(held, ' ', 1, true)
end

-- Decodes the sums in "held".
local function parseHeld(value)
  local held = {}
  if not value or value == '' then return held end
  for from, count, bytes in string.gmatch(value, '(%S+) (%d+) (%d+)') do
    held[from] = { count = tonumber(count), bytes = tonumber(bytes) }
  end
  return held
end

local function formatHeld(held)
  local parts = {}
  for from, sum in pairs(held) do
    if sum.count > 0 then parts[#parts + 1] = from .. ' ' .. text(sum.count) .. ' ' .. text(sum.bytes) end
  end
  return table.concat(parts, ' ')
end

-- Releases a small inbox with this number of envelopes and bytes. Returns true if "held" has sums, which are invalid
-- now.
local function releaseHeld(held, count, bytes)
  if not held or held == '' then return false end
  if not isOnly(held) then
    releasedTexts[#releasedTexts + 1] = held
    return true
  end
  if count then releasedTexts[#releasedTexts + 1] = held .. ' ' .. count .. ' ' .. bytes end
  return false
end

-- Releases everything in the hash of shares, and deletes it.
local function releaseShares(share)
  local flat = redis.call('HGETALL', share)
  for at = 1, #flat, 2 do
    local count, bytes = string.match(flat[at + 1], '(%d+) (%d+)')
    release(flat[at], count, bytes)
  end
  redis.call('UNLINK', share)
end

-- Empties an inbox with this number of envelopes and bytes.
local function empty(box, shared, held, count, bytes)
  if releaseHeld(held, count, bytes) then
    redis.call('HSET', box.meta, 'count', '0', 'bytes', '0', 'held', '')
  else
    redis.call('HSET', box.meta, 'count', '0', 'bytes', '0')
  end
  redis.call('UNLINK', box.inbox)
  if not shared then return end
  redis.call('HDEL', box.meta, 'shared')
  releaseShares(box.share)
end

-- Subtracts removed envelopes (sender -> count, sender -> bytes) from the senders' shares.
local function unshare(box, counts, sizes)
  local senders, held, gone = {}, {}, {}
  for from in pairs(counts) do senders[#senders + 1] = from end
  for at, share in ipairs(redis.call('HMGET', box.share, unpack(senders))) do
    local from = senders[at]
    local count, bytes = string.match(share or '0 0', '(%d+) (%d+)')
    release(from, math.min(count, counts[from]), math.min(bytes, sizes[from]))
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

-- The same for a small inbox, where meta has the sums. Returns the new value of "held".
local function unhold(value, counts, sizes)
  local held = parseHeld(value)
  for from, sum in pairs(held) do
    local count, bytes = math.min(sum.count, counts[from] or 0), math.min(sum.bytes, sizes[from] or 0)
    if count > 0 then release(from, count, bytes) end
    sum.count, sum.bytes = sum.count - count, sum.bytes - bytes
  end
  return formatHeld(held)
end

-- Subtracts removed envelopes (as XRANGE returns them) from count, bytes and shares, and deletes an inbox that became
-- empty.
local function unaccount(box, entries)
  if #entries == 0 then return end
  local count, bytes, shared, held = unpack(redis.call('HMGET', box.meta, 'count', 'bytes', 'shared', 'held'))
  local left, total = count - #entries, 0
  if left == 0 then return empty(box, shared, held, count, bytes) end
  if not shared and isOnly(held) then
    for _, entry in ipairs(entries) do total = total + string.match(entry[2][2], '^.* (%d+)$') end
    release(held, #entries, total)
    redis.call('HSET', box.meta, 'count', text(left), 'bytes', text(bytes - total))
    return
  end
  local counts, sizes = {}, {}
  for _, entry in ipairs(entries) do
    local from, size = string.match(entry[2][2], '^%S+ (%S+) .* (%d+)$')
    counts[from] = (counts[from] or 0) + 1
    sizes[from] = (sizes[from] or 0) + size
    total = total + size
  end
  if not shared and held and held ~= '' then
    held = unhold(held, counts, sizes)
    redis.call('HSET', box.meta, 'count', text(left), 'bytes', text(bytes - total), 'held', held)
    return
  end
  redis.call('HSET', box.meta, 'count', text(left), 'bytes', text(bytes - total))
  if shared then unshare(box, counts, sizes) end
end
