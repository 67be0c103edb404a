-- Claims an inbox, or continues an HTTP claim.
-- KEYS: 1 meta, 2 user
-- ARGV: 1 owner ("s node connection", "h connection"), 2 node, 3 HTTP: lifetime (ms), "" for a socket,
--       4 HTTP: the epoch of a socket's claim that may be replaced because its node is dead; or "",
--       5 socket: time until which the claim may be granted (ms since 1970), or ""
-- Returns "taken" epoch queued, and the previous owner and node ("" for none); "conflict"; "held" epoch node: a socket
-- of that node has the claim; or "late": the caller no longer waits, and would not release the claim.
local now = clock()
if ARGV[5] ~= '' and now > tonumber(ARGV[5]) then return { 'late' } end
local held, epoch, node, deadline, count, live = unpack(redis.call('HMGET', KEYS[1], 'owner', 'epoch', 'node', 'until', 'count', 'live'))

if ARGV[3] ~= '' and held then
  local isHttp = string.sub(held, 1, 1) == 'h'
  local isLive = isHttp and tonumber(deadline) > now
  if isLive and held == ARGV[1] then
    redis.call('HSET', KEYS[1], 'node', ARGV[2], 'until', text(now + ARGV[3]))
    if live == '1' then redis.call('HSET', KEYS[2], 'lastSeenAt', text(now)) end
    return { 'taken', epoch, count or '0', '', '' }
  end
  if isLive then return { 'conflict' } end
  if not isHttp and ARGV[4] ~= epoch then return { 'held', epoch, node } end
end

epoch = text(after(epoch, now))
redis.call('HSET', KEYS[1], 'epoch', epoch, 'owner', ARGV[1], 'node', ARGV[2])
if ARGV[3] == '' then
  redis.call('HDEL', KEYS[1], 'until', 'returned')
else
  redis.call('HSET', KEYS[1], 'until', text(now + ARGV[3]), 'returned', '0')
end
if live == '1' then redis.call('HSET', KEYS[2], 'lastSeenAt', text(now)) end
return { 'taken', epoch, count or '0', held or '', node or '' }
