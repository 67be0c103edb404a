import { setTimeout as delay } from 'node:timers/promises'
import fc from 'fast-check'
import t from 'tap'
import { prepareAgents } from '../fixtures/worlds/prepared-agents.ts'
import { type ShakenAgent, ShakenWorld } from '../fixtures/worlds/shaken-world.ts'

/** The number of cases, and of cases at the same time: a case mostly waits. */
const cases = Number(process.env.CASES ?? 100)
const atOnce = Math.min(40, Math.ceil(cases / 10))
const deadlineMs = 60_000

const steps = ['send', 'send', 'send', 'cut', 'crash', 'lose', 'repeat', 'swap', 'renew', 'deafen', 'listen'] as const
type Action = { by: 0 | 1; step: (typeof steps)[number] | 'damage' }

const by = fc.constantFrom<0 | 1>(0, 1)
const action: fc.Arbitrary<Action> = fc.record({ by, step: fc.constantFrom(...steps) })
const schedule = fc.array(action, { minLength: 3, maxLength: 14 })
/** A damaged body may arrive after its successors, so their order is not checked. */
const damage = fc.option(fc.record({ by, at: fc.nat(10) }), { freq: 4 })

type Pair = readonly [ShakenAgent, ShakenAgent]

const prepared = await prepareAgents(t, ['alice', 'bob'])

async function act(agents: Pair, { by, step }: Action, number: number): Promise<void> {
  const agent = agents[by]
  const peer = agents[1 - by]?.name ?? ''
  switch (step) {
    case 'send':
      return agent.send(peer, `${agent.name} ${number}`)
    case 'cut':
      return agent.cut()
    case 'crash':
      return agent.crash()
    case 'renew':
      return agent.renew(peer)
    case 'deafen':
      return void agent.deafen()
    case 'listen':
      return agent.listen()
    default:
      return agent.plan(step)
  }
}

async function sendBoth([alice, bob]: Pair, number: number): Promise<void> {
  await alice.send('bob', `alice ${number}`)
  await bob.send('alice', `bob ${number}`)
}

/** Waits until each agent has acknowledged every accepted message up to number `last`. Returns the lost ones. */
async function drained([alice, bob]: Pair, last: number): Promise<string[]> {
  const missing = (from: ShakenAgent, to: ShakenAgent) =>
    [...from.accepted].filter(text => !to.acknowledged.has(text)).map(text => `${text} is lost`)
  for (let waitedMs = 0; ; waitedMs += 2) {
    const lost = [...missing(alice, bob), ...missing(bob, alice)]
    if (waitedMs > deadlineMs) return lost
    if (lost.length === 0 && hasSent(alice, last) && hasSent(bob, last)) return []
    await delay(2)
  }
}

const farewell = 99
const hasSent = ({ name, accepted }: ShakenAgent, number: number): boolean => accepted.has(`${name} ${number}`)

/** Checks that the texts were first shown in the order of sending. */
function orderFaults({ shown }: ShakenAgent): string[] {
  const firsts = [...new Set(shown.map(({ text }) => text))].map(text => Number(text.split(' ')[1]))
  return firsts.flatMap((number, at) => {
    const before = firsts[at - 1]
    return before !== undefined && before > number ? [`${number} came after ${before}`] : []
  })
}

const reorderFaults = ({ name, reordered }: ShakenAgent): string[] =>
  reordered.map(id => `${name} reports ${id} as out of order`)

function repeatFaults({ shown }: ShakenAgent): string[] {
  const seen = new Set<string>()
  return shown.flatMap(({ text, repeated }) => {
    const isAgain = seen.has(text)
    seen.add(text)
    return isAgain && !repeated ? [`${text} was shown again without a mark`] : []
  })
}

async function play(scheduler: fc.Scheduler, actions: Action[], isDamaged: boolean): Promise<string[]> {
  const world = new ShakenWorld(scheduler, prepared)
  const agents = [await world.open('alice'), await world.open('bob')] as const
  for (const [number, each] of actions.entries()) {
    await act(agents, each, number)
    await scheduler.schedule(Promise.resolve(), 'act')
  }
  for (const agent of agents) agent.heal()
  await sendBoth(agents, farewell)
  const faults = await drained(agents, farewell)
  for (const agent of agents) {
    faults.push(
      ...agent.faults,
      ...repeatFaults(agent),
      ...(isDamaged ? [] : [...orderFaults(agent), ...reorderFaults(agent)]),
    )
  }
  faults.push(...world.keysUsedTwice().map(place => `the key ${place} encrypted two messages`))
  await world.close(agents)
  return faults
}

t.test(
  'accepted messages arrive in order, once, despite lost, repeated and damaged frames, cuts, crashes and restarts',
  async t => {
    const seed = Number(process.env.SEED ?? 1)
    t.comment(`SEED=${seed}`)
    const property = fc.asyncProperty(fc.scheduler(), schedule, damage, async (scheduler, actions, damaged) => {
      const all = damaged ? actions.toSpliced(damaged.at, 0, { by: damaged.by, step: 'damage' }) : actions
      const faults = await scheduler.waitFor(play(scheduler, all, damaged !== null))
      if (faults.length > 0) throw new Error(faults.join('; '))
    })
    const share = Math.ceil(cases / atOnce)
    await Promise.all(
      Array.from({ length: atOnce }, (_none, at) =>
        fc.assert(property, { numRuns: share, seed: seed + at, endOnFailure: true }),
      ),
    )
  },
)
