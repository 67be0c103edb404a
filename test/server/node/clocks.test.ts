import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { openAgentAt, receiveSome, registerAgent, temporaryDirectory, textsOf } from '../../../tools/clients/agents.ts'
import { newUser, RawClient } from '../../../tools/clients/raw-client.ts'
import { type NodeProcess, startNodeProcess } from '../../../tools/servers/node.ts'
import { startRedis } from '../../../tools/servers/redis.ts'
import { startAgentProcess } from '../../fixtures/processes/agent-process.ts'
import { runSenderProcess } from '../../fixtures/processes/sender-process.ts'

const hourMs = 3_600_000
const preload = `--import=${fileURLToPath(new URL('../../fixtures/clock-offset.mjs', import.meta.url))}`
/** A node process whose clock is wrong by some ms. */
const wrongClock = (offsetMs: number) => ({ NODE_OPTIONS: preload, CLOCK_OFFSET_MS: String(offsetMs) })

async function startNodes(
  t: Test,
  offsets: readonly number[],
  env: Record<string, string> = {},
): Promise<NodeProcess[]> {
  const redis = await startRedis(t)
  return Promise.all(
    offsets.map(offset => startNodeProcess(t, { REDIS_URL: redis.url, ...env, ...wrongClock(offset) })),
  )
}

// Evidence: T1
t.test('T1: nodes whose clocks are an hour fast or slow serve like all others', async t => {
  const nodes = await startNodes(t, [hourMs, -hourMs, 0])
  const bob = newUser()
  const alice = await RawClient.loggedIn(t, nodes[2]?.wsUrl ?? '')
  let listener: RawClient | undefined
  for (const [at, node] of nodes.entries()) {
    const before = listener
    listener = await RawClient.listening(t, node.wsUrl, bob)
    if (before) t.equal((await before.closed).code, 4409, 'the one before is told')
    const id = `m${at}`
    t.match(await alice.request({ type: 'send', id, to: bob.username, body: 'AAAA', ttl: 60 }), { type: 'accepted' })
    const pushes = await listener.pushes(1)
    t.equal(pushes.at(-1)?.id, id)
    t.ok(Math.abs((pushes.at(-1)?.sentAt ?? 0) - Date.now()) < 60_000, 'it is stamped by the clock of Redis')
    listener.send({ type: 'ack', seq: pushes.at(-1)?.seq })
    const list = await alice.request({ type: 'list_users', online: true })
    t.match(list, { users: [{ username: bob.username, online: true }] })
  }
  // By now each node has checked the leases of the others.
  await delay(14_000)
  for (const { url } of nodes) t.equal((await fetch(`${url}/health/ready`)).status, 200)
  t.match(await listener?.request({ type: 'heartbeat' }), { type: 'heartbeat' })
})

// Evidence: T1
t.test('T1: a login expires on time, and not earlier, whatever the clock of the node says', async t => {
  const lifeS = 4
  const nodes = await startNodes(t, [hourMs, -hourMs, 0], { SESSION_TTL_S: String(lifeS) })
  for (const { wsUrl } of nodes) {
    const first = await RawClient.loggedIn(t, wsUrl)
    const since = performance.now()
    const answer = await first.find(({ type }) => type === 'authenticated')
    const token = answer.type === 'authenticated' ? answer.token : ''
    const second = await RawClient.connect(t, wsUrl)
    t.match(await second.request({ type: 'authenticate', token }), { type: 'authenticated' }, 'the token serves')
    t.equal((await first.closed).code, 4401)
    const livedMs = performance.now() - since
    t.ok(livedMs > lifeS * 1_000 - 1_000 && livedMs < lifeS * 1_000 + 5_000, `it lived ${Math.round(livedMs)} ms`)
    const late = await RawClient.connect(t, wsUrl)
    t.match(await late.request({ type: 'authenticate', token }), { code: 'unauthorized' })
  }
})

// Evidence: T3
t.test(
  'T3: agents whose clocks are ten years off log in, and send to agents that they know, and receive, in order',
  async t => {
    const [node] = await startNodes(t, [0])
    const server = node?.wsUrl ?? ''
    const tenYearsMs = 10 * 365 * 24 * hourMs
    for (const offset of [tenYearsMs, -tenYearsMs]) {
      const name = `odd-${offset > 0 ? 'future' : 'past'}`
      const peer = await registerAgent(t, server, `peer-of-${name}`)
      const directory = await temporaryDirectory(t)
      const before = await openAgentAt(t, server, directory)
      await before.register(name)
      // A clock that is ahead makes the keys of strangers look old, and a client refuses such keys at first contact.
      await before.send(`peer-of-${name}`, 'met before')
      t.same(textsOf(await receiveSome(peer, 1)), ['met before'])
      await before.close()
      const texts = ['one', 'two', 'three']
      const arriving = receiveSome(peer, texts.length)
      const options = { server, directory, env: wrongClock(offset) }
      t.equal(await runSenderProcess(t, { ...options, to: `peer-of-${name}`, texts }), 0)
      const arrived = await arriving
      t.same(textsOf(arrived), texts)
      t.ok(arrived.every(({ from }) => from === name))
      const listening = startAgentProcess(t, { ...options, count: texts.length })
      for (const text of texts) await peer.send(name, text)
      t.same(await listening.texts, texts)
      t.equal(await listening.code, 0)
    }
  },
)
