import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { WebSocket } from 'ws'
import { limits } from '../../../src/protocol/limits.ts'
import { newUser, RawClient } from '../../../tools/clients/raw-client.ts'
import { type NodeProcess, startNodeProcess } from '../../../tools/servers/node.ts'
import { startRedis } from '../../../tools/servers/redis.ts'

/** Longer than a node's lease, so that other nodes may take its claims. */
const stallMs = limits.leaseMs + 2_000

/** Stalls the event loop of a node process through Node's inspector: the node itself has no hook for it. */
async function stall(node: NodeProcess, ms: number): Promise<void> {
  const url = node
    .logs()
    .join('\n')
    .match(/Debugger listening on (ws:\S+)/)?.[1]
  const inspector = new WebSocket(url ?? '')
  await once(inspector, 'open')
  const expression = `{ const end = performance.now() + ${ms}; while (performance.now() < end); }`
  inspector.send(JSON.stringify({ id: 1, method: 'Runtime.evaluate', params: { expression } }))
  inspector.on('message', () => inspector.close())
}

// Evidence: N4
t.test(
  'N4: a node whose event loop stalled gives up the claims that others took and the claims that nobody took',
  async t => {
    const redis = await startRedis(t)
    const env = { REDIS_URL: redis.url, LOG_LEVEL: 'info' }
    const stalled = await startNodeProcess(t, { ...env, NODE_OPTIONS: '--inspect=127.0.0.1:0' })
    const other = await startNodeProcess(t, env)
    const [bob, carol] = [newUser(), newUser()]
    const oldBob = await RawClient.listening(t, stalled.wsUrl, bob)
    const oldCarol = await RawClient.listening(t, stalled.wsUrl, carol)
    const alice = await RawClient.loggedIn(t, other.wsUrl)
    const newBob = await RawClient.loggedIn(t, other.wsUrl, bob)

    await stall(stalled, stallMs)
    await delay(200)
    t.match(await newBob.request({ type: 'listen', instance: 'winner' }), { type: 'listening' })
    for (const id of ['m1', 'm2']) await alice.request({ type: 'send', id, to: bob.username, body: 'AAAA' })
    await alice.request({ type: 'send', id: 'm3', to: carol.username, body: 'AAAA' })
    const isReady = async () => (await fetch(`${stalled.url}/health/ready`)).status === 200
    const answered = isReady()

    t.ok([4409, 4503].includes((await oldBob.closed).code))
    t.equal((await oldCarol.closed).code, 4503)
    t.same(
      (await newBob.pushes(2)).map(({ id }) => id),
      ['m1', 'm2'],
    )
    await answered
    while (!(await isReady())) await delay(50)
    const newCarol = await RawClient.listening(t, stalled.wsUrl, carol)
    t.equal((await newCarol.pushes(1)).at(-1)?.id, 'm3')
    t.match(await newBob.request({ type: 'heartbeat' }), { type: 'heartbeat' })
    t.ok(stalled.logs().some(line => line.includes('stood still')))
  },
)
