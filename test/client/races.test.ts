import fc from 'fast-check'
import t from 'tap'
import { openUnguardedStore } from '../fixtures/servers/unguarded-store.ts'
import { ScheduledWorld, type WorldAgent } from '../fixtures/worlds/scheduled-world.ts'
import { turningScheduler } from '../fixtures/worlds/scheduler.ts'

/** Each run chooses the order in which frames arrive. A failing seed is printed and can be run again. */
const runs = { numRuns: Number(process.env.RACES ?? 25) }

async function inWorld(
  scheduler: fc.Scheduler,
  names: string[],
  act: (agents: Record<string, WorldAgent>, world: ScheduledWorld) => Promise<void>,
): Promise<void> {
  const world = new ScheduledWorld(scheduler)
  const play = async () => {
    const agents = await Promise.all(names.map(name => world.open(name)))
    await Promise.all(agents.map(({ client, name }) => client.register(name)))
    await act(Object.fromEntries(agents.map(agent => [agent.name, agent])), world)
    await world.close(agents)
  }
  await scheduler.waitFor(play())
}

/** Resolves when `agent` has received this number of messages from `from`. */
async function untilShown(agent: WorldAgent | undefined, from: string, count: number): Promise<string[]> {
  for (;;) {
    const texts = agent?.shown.get(from) ?? []
    if (texts.length >= count) return texts
    await new Promise(resolve => setImmediate(resolve))
  }
}

const texts = (name: string, count: number): string[] => Array.from({ length: count }, (_, index) => `${name} ${index}`)

// Evidence: P6
t.test('two callers that need the same new session share one', () =>
  fc.assert(
    fc.asyncProperty(turningScheduler(), async scheduler => {
      await inWorld(scheduler, ['alice', 'bob'], async ({ alice, bob }, world) => {
        bob?.listen()
        await Promise.all([
          alice?.client.getOrCreateSession('bob'),
          alice?.client.getOrCreateSession('bob'),
          ...texts('alice', 4).map(text => alice?.client.send('bob', text)),
        ])
        const shown = await untilShown(bob, 'alice', 4)
        if (shown.join() !== texts('alice', 4).join()) throw new Error(`shown: ${shown}`)
        const fetched = world.received.filter(type => type === 'fetch_keys').length
        if (fetched !== 1) throw new Error(`keys were fetched ${fetched} times`)
        await bob?.deafen()
      })
    }),
    runs,
  ),
)

// Evidence: D10
t.test('both sides start a session at once and receive while they send: all messages arrive in order, once', () =>
  fc.assert(
    fc.asyncProperty(turningScheduler(), async scheduler => {
      await inWorld(scheduler, ['alice', 'bob'], async ({ alice, bob }) => {
        alice?.listen()
        bob?.listen()
        const sent = texts('x', 5)
        for (const text of sent) await Promise.all([alice?.client.send('bob', text), bob?.client.send('alice', text)])
        for (const [agent, from] of [
          [alice, 'bob'],
          [bob, 'alice'],
        ] as const) {
          const shown = await untilShown(agent, from, sent.length)
          if (shown.join() !== sent.join()) throw new Error(`${from}'s came as ${shown}`)
        }
        await Promise.all([alice?.deafen(), bob?.deafen()])
      })
    }),
    runs,
  ),
)

// Evidence: K6
t.test("after crossing interactive key exchanges both sides can decrypt each other's messages", () =>
  fc.assert(
    fc.asyncProperty(turningScheduler(), async scheduler => {
      await inWorld(scheduler, ['alice', 'bob'], async ({ alice, bob }) => {
        alice?.listen()
        bob?.listen()
        await Promise.all([
          alice?.client.initiateKeyExchange('bob'),
          bob?.client.initiateKeyExchange('alice'),
          alice?.client.send('bob', 'x 0'),
          bob?.client.send('alice', 'x 0'),
        ])
        await Promise.all([alice?.client.send('bob', 'x 1'), bob?.client.send('alice', 'x 1')])
        for (const [agent, from] of [
          [alice, 'bob'],
          [bob, 'alice'],
        ] as const) {
          const shown = await untilShown(agent, from, 2)
          if (shown.join() !== 'x 0,x 1') throw new Error(`${from}'s came as ${shown}`)
        }
        await Promise.all([alice?.deafen(), bob?.deafen()])
      })
    }),
    { ...runs, numRuns: Math.ceil(runs.numRuns / 4) },
  ),
)

t.test('two receive loops of one client share the messages: each message goes to one loop', () =>
  fc.assert(
    fc.asyncProperty(turningScheduler(), async scheduler => {
      await inWorld(scheduler, ['alice', 'bob'], async ({ alice, bob }) => {
        bob?.listen()
        bob?.listen()
        const sent = texts('alice', 5)
        await Promise.all(sent.map(text => alice?.client.send('bob', text)))
        const shown = await untilShown(bob, 'alice', sent.length)
        if ([...shown].sort().join() !== sent.join()) throw new Error(`shown: ${shown}`)
        await bob?.deafen()
      })
    }),
    runs,
  ),
)

const step = fc.constantFrom(
  'alice sends',
  'bob sends',
  'cut alice',
  'cut bob',
  'alice stops',
  'bob stops',
  'bob restarts',
  'users',
)

// Evidence: P6, P7
t.test('all messages arrive in order, once, over broken connections, stops and restarts', () =>
  fc.assert(
    fc.asyncProperty(turningScheduler(), fc.array(step, { minLength: 4, maxLength: 16 }), async (scheduler, steps) => {
      await inWorld(scheduler, ['alice', 'bob'], async agents => {
        const { alice, bob } = agents
        alice?.listen()
        bob?.listen()
        const sent: Record<string, string[]> = { alice: [], bob: [] }
        const going: Promise<unknown>[] = []
        for (const each of steps) {
          await scheduler.schedule(Promise.resolve(), each)
          const [first = '', second = ''] = each.split(' ')
          if (second === 'sends') {
            const text = `${first} ${sent[first]?.length}`
            sent[first]?.push(text)
            going.push(agents[first]?.client.send(first === 'alice' ? 'bob' : 'alice', text) ?? Promise.resolve())
          } else if (first === 'cut') agents[second]?.cut()
          else if (second === 'stops')
            going.push((agents[first]?.deafen() ?? Promise.resolve()).then(() => agents[first]?.listen()))
          else if (second === 'restarts') {
            going.push(agents[first]?.client.stopListening() ?? Promise.resolve())
            agents[first]?.listen()
          } else going.push(listUsers(agents.alice))
        }
        await Promise.all(going)
        for (const [agent, from] of [
          [alice, 'bob'],
          [bob, 'alice'],
        ] as const) {
          const expected = sent[from] ?? []
          const shown = await untilShown(agent, from, expected.length)
          if (shown.join() !== expected.join()) throw new Error(`${from}'s came as ${shown}`)
        }
        await Promise.all([alice?.deafen(), bob?.deafen()])
      })
    }),
    runs,
  ),
)

async function listUsers(agent: WorldAgent | undefined): Promise<void> {
  try {
    for await (const _user of agent?.client.users() ?? []);
  } catch {
    // The connection was cut: the call fails, and the caller may try again.
  }
}

/** Much longer than one message takes. */
const patienceMs = 3_000

t.test('the runs fail if transactions of the state are not serialised', async t => {
  const { failed } = await fc.check(
    fc.asyncProperty(turningScheduler(), async scheduler => {
      const world = new ScheduledWorld(scheduler)
      const play = async () => {
        const alice = await world.open('alice', openUnguardedStore())
        const bob = await world.open('bob')
        const reported: string[] = []
        bob.client.on('undecryptable', ({ reason }) => reported.push(reason))
        await Promise.all([alice, bob].map(({ client, name }) => client.register(name)))
        bob.listen()
        const sent = texts('alice', 6)
        const going = sent.map(text => alice.client.send('bob', text).catch(() => {}))
        const until = performance.now() + patienceMs
        while (
          (bob.shown.get('alice')?.length ?? 0) < sent.length &&
          reported.length === 0 &&
          performance.now() < until
        )
          await new Promise(resolve => setImmediate(resolve))
        const shown = bob.shown.get('alice') ?? []
        await world.close([alice, bob])
        await Promise.all(going)
        if (reported.length > 0) throw new Error(`not readable: ${reported}`)
        if (shown.join() !== sent.join()) throw new Error(`shown: ${shown}`)
      }
      await scheduler.waitFor(play())
    }),
    { numRuns: 20, endOnFailure: true },
  )
  t.ok(failed)
})
