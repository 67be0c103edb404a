-- Prepended to every script. The keys and their contents are described in redis/connection/keys.ts.
-- Lua's numbers are doubles: only %.0f prints a large integer in full.

local function clock()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function text(number)
  return string.format('%.0f', number)
end

-- Sequence numbers and epochs follow the clock, so that no number is used twice after Redis lost its last writes.
local function after(last, now)
  return math.max((tonumber(last) or 0) + 1, now * 1024)
end
