-- Raises the schema version to the one that the caller writes, if the caller can read the current version.
-- KEYS: 1 schema
-- ARGV: 1 oldest version that the caller reads, 2 version that it writes, 3 newest version that it reads
-- Returns the version after the call.
local found = tonumber(redis.call('GET', KEYS[1])) or tonumber(ARGV[2])
if found < tonumber(ARGV[1]) or found > tonumber(ARGV[3]) then return found end
if redis.call('EXISTS', KEYS[1]) == 0 or found < tonumber(ARGV[2]) then redis.call('SET', KEYS[1], ARGV[2]) end
return math.max(found, ARGV[2])
