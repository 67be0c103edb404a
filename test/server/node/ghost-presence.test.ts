import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { newName, newUser, RawClient, type User } from '../../../tools/clients/raw-client.ts'
import { startNodeProcess } from '../../../tools/servers/node.ts'
import { startRedis } from '../../../tools/servers/redis.ts'

/** PROTOCOL.md section 8: the time after which users of a dead node are offline, ms. */
const offlineMs = 15_000
/**
 * Number of kills, and how many at once. A hundred take about five minutes:
 * `KILLS=100 npx tsx test/server/node/ghost-presence.test.ts`.
 */
const kills = Number(process.env.KILLS ?? 4)
const lanes = Math.min(kills, 10)

type Place = { redisUrl: string; refuge: string; observer: RawClient }

const userOf = (prefix: string, part: string): User => newUser(`${prefix}-${part}`)

/** Users with a name prefix that another node lists as online. */
async function onlineOf(observer: RawClient, prefix: string): Promise<string[]> {
  const list = await observer.request({ type: 'list_users', online: true, prefix })
  if (list.type !== 'user_list') throw new Error(`the listing failed: ${JSON.stringify(list)}`)
  return list.users.map(({ username }) => username)
}

/** Runs and kills one node. Returns the users that are listed wrongly after its users must be offline. */
async function killOne(t: Test, { redisUrl, refuge, observer }: Place): Promise<string[]> {
  const prefix = newName('k')
  const [gone, claiming, left, moved] = ['gone', 'claiming', 'left', 'moved'].map(part => userOf(prefix, part))
  if (!gone || !claiming || !left || !moved) throw new Error('four users')
  const victim = await startNodeProcess(t, { REDIS_URL: redisUrl })
  await Promise.all([gone, left, moved].map(user => RawClient.listening(t, victim.wsUrl, user)))
  // One user moved to another node before the kill, and one is about to listen.
  await RawClient.listening(t, refuge, left)
  const late = await RawClient.loggedIn(t, victim.wsUrl, claiming)
  t.same(await onlineOf(observer, prefix), [gone, left, moved].map(({ username }) => username).sort())

  late.send({ type: 'listen', id: 'l1' })
  await delay(Math.random() * 5)
  await victim.kill('SIGKILL')
  const killedAt = performance.now()
  await RawClient.listening(t, refuge, moved)
  await delay(offlineMs - (performance.now() - killedAt))

  const expected = [left, moved].map(({ username }) => username)
  const listed = await onlineOf(observer, prefix)
  return [...listed.filter(name => !expected.includes(name)), ...expected.filter(name => !listed.includes(name))]
}

// Evidence: P9, N1
t.test('fifteen seconds after a node is killed, every user is listed as online or offline correctly', async t => {
  const redis = await startRedis(t)
  const [refuge, view] = await Promise.all([1, 2].map(() => startNodeProcess(t, { REDIS_URL: redis.url })))
  if (!refuge || !view) return t.fail('two nodes')
  const observer = await RawClient.loggedIn(t, view.wsUrl)
  const place = { redisUrl: redis.url, refuge: refuge.wsUrl, observer }
  let left = kills
  const wrong: string[] = []
  const runLane = async () => {
    while (left-- > 0) wrong.push(...(await killOne(t, place)))
  }
  await Promise.all(Array.from({ length: lanes }, runLane))
  t.comment(`${kills} kills, ${wrong.length} wrong entries`)
  t.same(wrong, [])
})
