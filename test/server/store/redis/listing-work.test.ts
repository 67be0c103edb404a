import { randomUUID } from 'node:crypto'
import t from 'tap'
import { limits } from '../../../../src/protocol/limits.ts'
import { parseUsername } from '../../../../src/protocol/names.ts'
import { openRedisStore } from '../../../../src/server/store/redis/redis-store.ts'
import type { UserQuery } from '../../../../src/server/store/store.ts'
import { RawClient } from '../../../../tools/clients/raw-client.ts'
import { startRedis } from '../../../../tools/servers/redis.ts'
import { startTestNode } from '../../../../tools/servers/running-node.ts'
import { claimed, contractOptions, open, socket } from '../contract/world.ts'

const redis = await startRedis(t)
const store = await openRedisStore({ ...contractOptions, nodeId: randomUUID() }, { url: redis.url })
t.teardown(() => store.close())

const total = 1_300
const names = Array.from({ length: total }, (_none, at) => parseUsername(`user-${String(at).padStart(5, '0')}`))
await Promise.all(
  names.map(async name => {
    await store.users.register(name, 'key', open)
    await store.cards.publish(name, { text: 'card', counter: 1, capabilities: ['common'] })
  }),
)
const last = names.at(-1) ?? parseUsername('nobody')
await claimed(store, last, socket('listens'))

async function commands(): Promise<number> {
  const stats = String(await redis.cli('INFO', 'stats'))
  return Number(/total_commands_processed:(\d+)/.exec(stats)?.[1])
}

/** Fetches all pages. Returns the names, and for each page its size and the commands that Redis ran for it. */
async function pages(query: UserQuery): Promise<{ found: string[]; sizes: number[]; most: number }> {
  const found: string[] = []
  const sizes: number[] = []
  let most = 0
  let cursor: string | null | undefined
  do {
    const before = await commands()
    const page = await store.users.list({ ...query, ...(cursor && { cursor }) })
    most = Math.max(most, (await commands()) - before)
    t.ok(page.looked <= limits.maxLookups)
    t.ok(cursor === undefined || page.cursor === null || page.cursor > String(cursor), 'the cursor moves on')
    found.push(...page.users.map(({ username }) => username))
    sizes.push(page.users.length)
    cursor = page.cursor
  } while (cursor !== null)
  return { found, sizes, most }
}

/** Two reads for each name, one more with a filter by capability, and a few for the indexes and this measurement. */
const bound = 3 * limits.maxLookups + 50

for (const [what, query, expected] of [
  ['that nobody matches', { capability: 'common', online: false, prefix: 'user-01', limit: 1 }, null],
  ['by online state over all names', { online: false, limit: 500 }, names.slice(0, -1)],
  ['by capability', { capability: 'common', limit: 500 }, names],
] as [string, UserQuery, string[] | null][]) {
  t.test(`17.12 a listing ${what} looks at no more than ${limits.maxLookups} names a call`, async t => {
    const { found, sizes, most } = await pages(query)
    t.comment(`${sizes.length} pages, ${most} commands at most`)
    t.ok(most <= bound, `${most} commands`)
    if (expected) t.same(found, expected, 'all pages together are complete')
  })
}

t.test('17.12 a rare filter gives short pages with a cursor, and the smaller index is read', async t => {
  await Promise.all(names.slice(0, 3).map((name, at) => claimed(store, name, socket(`listens-${at}`))))
  const { found, most } = await pages({ capability: 'common', online: true, limit: 1 })
  t.same(found, [...names.slice(0, 3), last])
  t.ok(most <= 60, `${most} commands: the index of listeners has four names`)

  const first = await store.users.list({ online: false, prefix: 'user-0', limit: 1_000 })
  t.equal(first.users.length, limits.maxLookups - 3)
  t.equal(first.cursor, names[limits.maxLookups - 1], 'the last name that was looked at')
})

t.test('17.12 a listing costs its caller as much as the names that it looks at', async t => {
  const own = await openRedisStore({ ...contractOptions, nodeId: randomUUID() }, { url: redis.url })
  const { wsUrl } = await startTestNode(t, { USER_FRAMES_PER_S: '100' }, { store: own })
  const client = await RawClient.loggedIn(t, wsUrl)
  const since = performance.now()
  const lists = 6
  for (let at = 0; at < lists; at += 1) {
    t.match(await client.request({ type: 'list_users', online: false, limit: 500 }), { type: 'user_list' })
  }
  // 20 tokens for the frame and 100 for the names, of which 200 come at once and 100 a second.
  const leastMs = ((lists * 120 - 200 * 1.3) / 100) * 1_000
  t.ok(performance.now() - since > leastMs * 0.9, `${Math.round(performance.now() - since)} ms of ${leastMs}`)
})

t.test('17.12 paging through long rules costs as much as the rules that each page reads', async t => {
  const own = await openRedisStore({ ...contractOptions, nodeId: randomUUID() }, { url: redis.url })
  const { wsUrl } = await startTestNode(t, { USER_FRAMES_PER_S: '100' }, { store: own })
  const client = await RawClient.loggedIn(t, wsUrl)
  const rules = Array.from({ length: 5_000 }, (_none, at) => [`x-${at}`, 'blocked']).flat()
  await redis.cli('HSET', `aim:{${client.user.username}}:rules`, ...rules)
  const since = performance.now()
  for (let at = 0; at < 6; at += 1)
    t.match(await client.request({ type: 'list_rules', limit: 1 }), { type: 'rule_list' })
  t.ok(performance.now() - since > 3_000, `${Math.round(performance.now() - since)} ms`)
})
