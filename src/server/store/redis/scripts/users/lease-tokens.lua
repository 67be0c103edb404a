-- Hands out tokens of a bucket that all nodes share, as many as are wanted and there, but none where there are fewer than needed.
-- KEYS: 1 bucket ("tokens at": how many there were at that ms)
-- ARGV: 1 tokens a second, 2 most, 3 wanted, 4 needed
-- Returns how many, and in how many ms there are as many as needed.
local now = clock()
local perSecond, burst, wanted, needed = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local left, at = string.match(redis.call('GET', KEYS[1]) or '', '(%S+) (%S+)')
local tokens = left and math.min(burst, left + math.max(0, now - at) * perSecond / 1000) or burst
local granted = tokens < needed and 0 or math.min(wanted, math.floor(tokens))
local missing = burst - tokens + granted
redis.call('SET', KEYS[1], string.format('%.3f %.0f', tokens - granted, now), 'PX', text(math.ceil(missing * 1000 / perSecond) + 1000))
return { text(granted), text(math.ceil(math.max(0, needed - tokens) * 1000 / perSecond)) }
