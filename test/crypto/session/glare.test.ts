import fc from 'fast-check'
import t from 'tap'
import { hasSession } from '../../../src/crypto/session/peer.ts'
import {
  type Agent,
  activeOf,
  makePair,
  receive,
  send,
  serve,
  start,
  startMs,
  textOf,
} from '../../../tools/clients/crypto-agents.ts'

/** Set `RUNS=1000` for the full count. */
const runs = Number(process.env.RUNS ?? 60)
const maxSkewMs = 50

type Event = { atMs: number; act: () => void }

/**
 * Both agents start to send at a random time within the skew, over a connection with a delay, and answer for a while.
 * Time is simulated.
 */
function meet(seed: string, { skewMs, delayMs }: { skewMs: number; delayMs: number }) {
  const pair = makePair(seed)
  const [alice, bob] = pair
  // Both have fetched each other's keys before either sends.
  const served = new Map([
    [alice, serve(bob)],
    [bob, serve(alice)],
  ])
  const lastMs = skewMs + 4 * delayMs
  const events: Event[] = []
  const sent: string[] = []
  const read: string[] = []
  const write = (agent: Agent, atMs: number): void => {
    const keys = served.get(agent)
    if (keys && !hasSession(agent.peer, startMs)) start(agent, keys)
    const other = agent === alice ? bob : alice
    const text = `${agent === alice ? 'alice' : 'bob'} ${sent.length}`
    sent.push(text)
    const body = send(agent, text)
    events.push({ atMs: atMs + delayMs, act: () => take(other, body, atMs + delayMs) })
  }
  const take = (agent: Agent, body: Uint8Array, atMs: number): void => {
    read.push(textOf(receive(agent, body).content))
    if (atMs < lastMs) write(agent, atMs)
  }
  events.push({ atMs: 0, act: () => write(alice, 0) }, { atMs: skewMs, act: () => write(bob, skewMs) })
  let agreedMs = Number.POSITIVE_INFINITY
  for (let next = earliest(events); next; next = earliest(events)) {
    next.act()
    if (activeOf(alice) !== activeOf(bob)) agreedMs = Number.POSITIVE_INFINITY
    else agreedMs = Math.min(agreedMs, next.atMs)
  }
  const crossed = alice.peer.sessions.length > 1
  return { sent, read, crossed, roundTrips: (agreedMs - skewMs) / (2 * delayMs) }
}

/** Removes the earliest item; of several, the one added first, so that a connection keeps its order. */
function earliest(events: Event[]): Event | undefined {
  const [first] = [...events].sort((a, b) => a.atMs - b.atMs)
  if (first) events.splice(events.indexOf(first), 1)
  return first
}

t.setTimeout(30_000 + runs * 500)

t.test('two agents that start at once read every message and share one session within two round trips', async t => {
  let crossings = 0
  let longest = 0
  const circumstances = fc.record({ skewMs: fc.nat(maxSkewMs), delayMs: fc.integer({ min: 1, max: 60 }) })
  fc.assert(
    fc.property(fc.nat(), circumstances, (seed, drawn) => {
      const { sent, read, crossed, roundTrips } = meet(`glare ${seed}`, drawn)
      if ([...sent].sort().join() !== [...read].sort().join()) throw new Error(`sent ${sent}, read ${read}`)
      if (!(roundTrips <= 2)) throw new Error(`agreed after ${roundTrips} round trips`)
      crossings += crossed ? 1 : 0
      longest = Math.max(longest, roundTrips)
    }),
    { numRuns: runs },
  )
  t.comment(`${runs} runs, ${crossings} crossings, on one session after ${longest} round trips at most`)
  t.ok(crossings > runs / 10, 'starts did cross')
})
