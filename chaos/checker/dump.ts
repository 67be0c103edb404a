import { Redis } from 'ioredis'
import { inboxKey, metaKey, nodesKey, shareKey, userKey } from '../../src/server/store/redis/connection/keys.ts'
import { asNumber, asString } from '../../src/server/store/redis/connection/reply.ts'
import { monotonicMs } from '../clock.ts'

type DumpedEntry = { seq: number; sender: string; frame: string; bytes: number }

/**
 * One inbox as Redis held it at one moment between `tm` and `end`. `count`, `bytes` and `shares` are the counters that
 * Redis keeps; shares exist for large inboxes only.
 */
export type InboxDump = {
  tm: number
  end: number
  user: string
  identity: string
  entries: DumpedEntry[]
  count: number
  bytes: number
  shares: Record<string, string> | undefined
  connEpoch: number
  owner: string
  node: string
}

export type Dump = { inboxes: InboxDump[]; liveNodes: string[] }

const timeoutMs = 3_000

/** Reads every inbox, each atomically. @throws if Redis is out of reach. */
export async function dumpInboxes(url: string, users: readonly string[]): Promise<Dump> {
  const redis = new Redis(url, { lazyConnect: true, retryStrategy: () => null, commandTimeout: timeoutMs })
  redis.on('error', () => {})
  try {
    await redis.connect()
    const inboxes: InboxDump[] = []
    for (const user of users) inboxes.push(await dumpInbox(redis, user))
    const [seconds] = await redis.time()
    const liveNodes = await redis.zrangebyscore(nodesKey, asNumber(seconds) * 1_000, '+inf')
    return { inboxes, liveNodes }
  } finally {
    redis.disconnect()
  }
}

/** KEYS: inbox, meta, share, user. Lua encodes an empty list as an object. */
const script = `
local function map(key)
  local flat, fields = redis.call('HGETALL', key), {}
  for at = 1, #flat, 2 do fields[flat[at]] = flat[at + 1] end
  return fields
end
local entries = {}
for at, entry in ipairs(redis.call('XRANGE', KEYS[1], '-', '+')) do entries[at] = entry[1] .. ' ' .. entry[2][2] end
return cjson.encode({ entries = entries, meta = map(KEYS[2]), shares = map(KEYS[3]), user = map(KEYS[4]) })`

type Answer = {
  entries: Record<number, string>
  meta: { shared?: string; count?: string; bytes?: string; epoch?: string; owner?: string; node?: string }
  shares: Record<string, string>
  user: { identity?: string }
}

async function dumpInbox(redis: Redis, user: string): Promise<InboxDump> {
  const tm = monotonicMs()
  const keys = [inboxKey(user), metaKey(user), shareKey(user), userKey(user)]
  const answer: Answer = JSON.parse(asString(await redis.eval(script, keys.length, ...keys)))
  const { count = '0', bytes = '0', epoch = '0', owner = '', node = '' } = answer.meta
  return {
    tm,
    end: monotonicMs(),
    user,
    identity: answer.user.identity ?? '',
    entries: Object.values(answer.entries).map(toEntry),
    count: Number(count),
    bytes: Number(bytes),
    shares: answer.meta.shared ? answer.shares : undefined,
    connEpoch: Number(epoch),
    owner,
    node,
  }
}

/** "seq-0 id from kind prev sentAt expiresAt bytes" */
function toEntry(text: string): DumpedEntry {
  const [id = '', frame = '', sender = '', , , , , bytes] = text.split(' ')
  return { seq: Number.parseInt(id, 10), sender, frame, bytes: Number(bytes) }
}
