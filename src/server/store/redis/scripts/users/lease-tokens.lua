-- Takes tokens from a bucket that all nodes share: as many as are wanted and available, but none if fewer than needed
-- are.
-- KEYS: 1 bucket ("tokens at": the number of tokens at that time, ms since 1970)
-- ARGV: 1 tokens per second, 2 burst, 3 wanted, 4 needed
-- Returns the number of tokens granted, and the time until as many as needed are available (ms).
local now = clock()
local perSecond, burst, wanted, needed = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local left, at = string.match(redis.call('GET', KEYS[1]) or '', '(%S+) (%S+)')
local tokens = left and math.min(burst, left + math.max(0, now - at) * perSecond / 1000) or burst
local granted = tokens < needed and 0 or math.min(wanted, math.floor(tokens))
local missing = burst - tokens + granted
redis.call('SET', KEYS[1], string.format('%.3f %.0f', tokens - granted, now), 'PX', text(math.ceil(missing * 1000 / perSecond) + 1000))
return { text(granted), text(math.ceil(math.max(0, needed - tokens) * 1000 / perSecond)) }
