-- Adds to, or subtracts from, what the users of one address have stored, and returns the sums.
-- Mail is counted in the generation in which it was stored. Mail expires within one generation, so a sum whose release
-- got lost, because its node died, ends with the next but one. Requests that leave data for a short time are counted in
-- windows in the same way.
-- KEYS: 1 sums: "mail" and "@user" ("generation sum sum-before"), "brief" ("window sum sum-before"), "own"
-- ARGV: 1 length of a generation (ms), 2 length of a window (ms), 3 change of "brief", 4 change of "own",
--       then for each user name and change of its mail
-- Returns the sums mail, brief and own, then the mail of each user.
local now = clock()
-- Ten years: an address with users.
local longMs = 315360000000

local function read(field, period)
  local at, current, before = string.match(redis.call('HGET', KEYS[1], field) or '', '^(%d+) (%d+) (%d+)$')
  at, current, before = tonumber(at) or period, tonumber(current) or 0, tonumber(before) or 0
  if at >= period then return current, before end
  return 0, at == period - 1 and current or 0
end

-- A release belongs to the older sum first.
local function add(field, lengthMs, change)
  local period = math.floor(now / lengthMs)
  local current, before = read(field, period)
  if change < 0 then
    local old = math.min(before, -change)
    before, current = before - old, math.max(0, current + change + old)
  else
    current = current + change
  end
  if change ~= 0 then
    if current + before == 0 then
      redis.call('HDEL', KEYS[1], field)
    else
      redis.call('HSET', KEYS[1], field, text(period) .. ' ' .. text(current) .. ' ' .. text(before))
    end
  end
  return current + before
end

local generationMs, windowMs = tonumber(ARGV[1]), tonumber(ARGV[2])
local users, total = {}, 0
for at = 5, #ARGV, 2 do
  local change = tonumber(ARGV[at + 1])
  total = total + change
  users[#users + 1] = text(add('@' .. ARGV[at], generationMs, change))
end
local mail = add('mail', generationMs, total)
local brief = add('brief', windowMs, tonumber(ARGV[3]))
local own = math.max(0, (tonumber(redis.call('HGET', KEYS[1], 'own')) or 0) + ARGV[4])
if tonumber(ARGV[4]) ~= 0 then
  if own == 0 then redis.call('HDEL', KEYS[1], 'own') else redis.call('HSET', KEYS[1], 'own', text(own)) end
end
-- Without users, nothing but mail and brief data is left, which ends by itself.
redis.call('PEXPIRE', KEYS[1], text(own == 0 and 2 * generationMs or longMs))
return { text(mail), text(brief), text(own), unpack(users) }
