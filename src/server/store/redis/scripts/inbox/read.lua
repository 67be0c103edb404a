-- Reads an inbox in order, and removes expired envelopes that it meets.
-- KEYS: 1 meta, 2 inbox, 3 share
-- ARGV: 1 epoch, 2 owner, 3 after, 4 most envelopes, 5 most bytes, 6 HTTP: lifetime of the claim from now (ms), or ""
-- Returns false if the claim is no longer current; else
--         1 "more" if it met only expired envelopes (call again), or "found"
--         2 id, e and b of each envelope
--         3 what was removed: see releases()
local chunk = 32
local now = clock()
local epoch, owner, returned = unpack(redis.call('HMGET', KEYS[1], 'epoch', 'owner', 'returned'))
if epoch ~= ARGV[1] or owner ~= ARGV[2] then return false end

local maxItems, maxBytes = tonumber(ARGV[4]), tonumber(ARGV[5])
local found, expired, bytes, items = {}, {}, 0, 0
local from, isOver, isCut = '(' .. ARGV[3] .. '-0', false, false

local function take(entry)
  local expiresAt, size = string.match(entry[2][2], '^.* (%d+) (%d+)$')
  if tonumber(expiresAt) <= now then
    expired[#expired + 1] = entry
    return true
  end
  if items > 0 and bytes + size > maxBytes then return false end
  items, bytes = items + 1, bytes + size
  found[#found + 1], found[#found + 2], found[#found + 3] = entry[1], entry[2][2], entry[2][4]
  return true
end

repeat
  local asked = math.min(chunk, maxItems - items)
  local entries = redis.call('XRANGE', KEYS[2], from, '+', 'COUNT', asked)
  for _, entry in ipairs(entries) do
    if not take(entry) then
      isOver = true
      break
    end
  end
  if #entries > 0 then from = '(' .. entries[#entries][1] end
  -- Bounds how long one call blocks Redis: the next call continues.
  isCut = #entries == asked and #expired >= 1000
  isOver = isOver or isCut or #entries < asked or items == maxItems
until isOver

for _, entry in ipairs(expired) do redis.call('XDEL', KEYS[2], entry[1]) end
unaccount({ meta = KEYS[1], inbox = KEYS[2], share = KEYS[3] }, expired)
if ARGV[6] ~= '' then
  local last = #found > 0 and tonumber(string.match(found[#found - 2], '^%d+')) or 0
  redis.call('HSET', KEYS[1], 'until', text(now + ARGV[6]), 'returned', text(math.max(tonumber(returned) or 0, last)))
end
return { isCut and items == 0 and 'more' or 'found', found, releases() }
