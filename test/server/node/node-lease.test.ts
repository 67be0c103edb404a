import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { limits } from '../../../src/protocol/limits.ts'
import type { Clock } from '../../../src/server/base/clock.ts'
import { readConfig } from '../../../src/server/base/config.ts'
import { openLogger } from '../../../src/server/base/logger.ts'
import { createNode } from '../../../src/server/node/create-node.ts'
import { NodeLease } from '../../../src/server/node/node-lease.ts'
import { type Store, StoreUnavailableError } from '../../../src/server/store/store.ts'
import { newUser, RawClient } from '../../../tools/clients/raw-client.ts'
import { startDeployment } from '../../../tools/servers/deployment.ts'
import { openTestStore, type StoreFaults, withFaults } from '../../../tools/servers/running-node.ts'

/** A clock that a test moves. Timers that are due run late, as after a stall. */
class MovedClock implements Clock {
  #now = 0
  readonly #timers = new Set<{ at: number; run: () => void }>()

  now = () => this.#now
  elapsed = () => this.#now

  after = (ms: number, run: () => void) => {
    const timer = { at: this.#now + ms, run }
    this.#timers.add(timer)
    return { cancel: () => void this.#timers.delete(timer) }
  }

  /** Runs every timer on time. */
  async run(ms: number): Promise<void> {
    for (const end = this.#now + ms; this.#now < end; ) await this.stall(Math.min(100, end - this.#now))
  }

  /** Simulates a stall of the process; then every timer that is due runs. */
  async stall(ms: number): Promise<void> {
    this.#now += ms
    const due = [...this.#timers].filter(({ at }) => at <= this.#now)
    for (const timer of due.sort((a, b) => a.at - b.at)) {
      if (this.#timers.delete(timer)) timer.run()
    }
    await delay(0)
  }
}

type Renew = () => Promise<'kept' | 'lapsed'>

/** A node lease with its own clock. `lost` counts how often claims were dropped. */
async function startPresence(faults: (inner: Store) => StoreFaults = () => ({})) {
  const clock = new MovedClock()
  const inner = openTestStore()
  const store = withFaults(inner, faults(inner))
  const config = readConfig({})
  const node = createNode(config, store, openLogger('silent'), new AbortController().signal)
  let lost = 0
  const lease = new NodeLease({ ...node, clock }, () => {
    lost += 1
  })
  await lease.start()
  return { clock, store, lease, lost: () => lost }
}

t.test('a node without stalls keeps its claims', async t => {
  const { clock, store, lease, lost } = await startPresence()
  await clock.run(60_000)
  t.equal(lost(), 0)
  t.equal(store.isReady(), true)
  lease.stop()
})

t.test('a failed renewal is retried soon, so that a store that is back briefly keeps the lease', async t => {
  let isAway = false
  const { clock, lease, lost } = await startPresence(inner => ({
    nodes: {
      renewLease: () => (isAway ? Promise.reject(new StoreUnavailableError('gone')) : inner.nodes.renewLease()),
    },
  }))
  for (let times = 0; times < 5; times += 1) {
    isAway = true
    await clock.run(limits.leaseMs - 2_600)
    isAway = false
    await clock.run(600)
  }
  t.equal(lost(), 0)
  lease.stop()
})

// Evidence: P2
t.test(
  'a stall below half a lease has no effect; a longer one drops the claims once, and a renewal makes the node ready again',
  async t => {
    const renewals: (() => void)[] = []
    let isAway = false
    const waiting: Renew = () => new Promise(resolve => renewals.push(() => resolve('kept')))
    const { clock, lease, lost } = await startPresence(() => ({
      nodes: { renewLease: () => (isAway ? waiting() : Promise.resolve('kept')) },
    }))
    await clock.stall(limits.leaseMs / 2)
    t.equal(lost(), 0)
    await clock.run(5_000)
    isAway = true
    await clock.stall(limits.leaseMs / 2 + 1_000)
    t.equal(lost(), 1)
    t.ok(renewals.length > 0, 'the lease is renewed at once')
    await clock.run(1_000)
    t.equal(lost(), 1)
    lease.stop()
  },
)

t.test('after a stall the store is not ready until the lease is renewed', async t => {
  const answers: boolean[] = []
  const { clock, store, lease } = await startPresence(inner => ({
    nodes: {
      doubtLease: () => {
        inner.nodes.doubtLease()
        answers.push(inner.isReady())
      },
    },
  }))
  await clock.stall(limits.leaseMs)
  t.same(answers, [false])
  t.equal(store.isReady(), true, 'it was renewed')
  lease.stop()
})

t.test('a lease that the store cannot renew runs out, and the claims are dropped once', async t => {
  let isAway = false
  const { clock, lease, lost } = await startPresence(() => ({
    nodes: {
      renewLease: async () => {
        if (isAway) throw new StoreUnavailableError('away')
        return 'kept'
      },
    },
  }))
  isAway = true
  await clock.run(limits.leaseMs + 1_000)
  t.equal(lost(), 1)
  await clock.run(30_000)
  t.equal(lost(), 1)
  isAway = false
  await clock.run(5_000)
  isAway = true
  await clock.run(limits.leaseMs + 5_000)
  t.equal(lost(), 2)
  lease.stop()
})

t.test('a lease that lapsed only by the clock of the store drops the claims too', async t => {
  let state: 'kept' | 'lapsed' = 'kept'
  const { clock, lease, lost } = await startPresence(() => ({ nodes: { renewLease: async () => state } }))
  state = 'lapsed'
  await clock.run(limits.renewMs)
  t.equal(lost(), 1)
  lease.stop()
})

// Evidence: P2, N3
t.test(
  'a node stopped for longer than its lease gives up the claims that others took and the claims that nobody took',
  async t => {
    const { nodes } = await startDeployment(t, { nodes: 2, env: { LOG_LEVEL: 'info' } })
    const [first, second] = nodes
    if (!first || !second) return t.fail('two nodes')
    const [bob, carol] = [newUser(), newUser()]
    const [oldBob, oldCarol] = await Promise.all([bob, carol].map(user => RawClient.listening(t, first.wsUrl, user)))
    const alice = await RawClient.loggedIn(t, second.wsUrl)
    await first.kill('SIGSTOP')
    const newBob = await RawClient.loggedIn(t, second.wsUrl, bob)
    t.match(await newBob.request({ type: 'listen', instance: 'winner' }), { type: 'listening' })
    for (const id of ['m1', 'm2', 'm3']) await alice.request({ type: 'send', id, to: bob.username, body: 'AAAA' })
    await alice.request({ type: 'send', id: 'm4', to: carol.username, body: 'AAAA' })
    await delay(limits.leaseMs + 2_000)
    await first.kill('SIGCONT')
    t.same(await oldBob?.closed, { code: 4409, reason: 'winner' })
    t.equal((await oldCarol?.closed)?.code, 4503)
    t.same(
      (await newBob.pushes(3)).map(({ id }) => id),
      ['m1', 'm2', 'm3'],
    )
    while ((await fetch(`${first.url}/health/ready`)).status !== 200) await delay(50)
    const newCarol = await RawClient.listening(t, first.wsUrl, carol)
    t.same(
      (await newCarol.pushes(1)).map(({ id }) => id),
      ['m4'],
    )
    t.match(await newBob.request({ type: 'heartbeat' }), { type: 'heartbeat' })
    t.ok(first.logs().some(line => line.includes('the lease was lost')))
  },
)
