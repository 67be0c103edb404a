import fc from 'fast-check'
import t from 'tap'
import { CryptoError } from '../../../src/crypto/errors.ts'
import { activeSession, findSession, newPeer } from '../../../src/crypto/session/peer.ts'
import { toHex } from '../../../src/util/bytes.ts'
import {
  type Agent,
  activeOf,
  advance,
  dayMs,
  makeAcquainted,
  makePair,
  minuteMs,
  receive,
  send,
  sendReset,
  serve,
  start,
  textOf,
  tryReceive,
} from '../../../tools/clients/crypto-agents.ts'

const undecryptable = new CryptoError('undecryptable')
const smaller = (a: Uint8Array, b: Uint8Array): string => [toHex(a), toHex(b)].sort()[0] ?? ''

/** Both agents start a session before either has received a message. */
function startBoth([alice, bob]: [Agent, Agent]): [Uint8Array, Uint8Array] {
  const [ofAlice, ofBob] = [serve(alice), serve(bob)]
  return [start(alice, ofBob), start(bob, ofAlice)]
}

// Evidence: K6
t.test('two crossing starts converge to the smaller sid, and every message is read', async t => {
  for (let run = 0; run < 12; run++) {
    const pair = makePair(`crossing ${run}`)
    const [alice, bob] = pair
    const sids = startBoth(pair)
    const fromAlice = [send(alice, 'a0'), send(alice, 'a1')]
    const fromBob = [send(bob, 'b0')]
    t.strictSame(
      fromAlice.map(body => textOf(receive(bob, body).content)),
      ['a0', 'a1'],
    )
    t.strictSame(
      fromBob.map(body => textOf(receive(alice, body).content)),
      ['b0'],
    )
    t.equal(activeOf(alice), smaller(...sids))
    t.equal(activeOf(bob), smaller(...sids))
    t.equal(textOf(receive(bob, send(alice, 'on')).content), 'on')
    t.equal(textOf(receive(alice, send(bob, 'and on')).content), 'and on')
    t.equal(activeOf(alice), activeOf(bob))
  }
})

t.test('agents converge on one session, whatever they send while their starts cross', async t => {
  const steps = fc.array(fc.record({ by: fc.nat(1), what: fc.constantFrom('send', 'deliver') }), { maxLength: 16 })
  fc.assert(
    fc.property(fc.nat(1_000_000), steps, (seed, actions) => {
      const pair = makePair(`network ${seed}`)
      startBoth(pair)
      const wires: Uint8Array[][] = pair.map(agent => [send(agent, 'start')])
      const deliver = (by: number): void => {
        const body = wires[by]?.shift()
        const to = pair[1 - by]
        if (body && to) receive(to, body)
      }
      for (const { by, what } of actions) {
        const agent = pair[by]
        if (what === 'deliver') deliver(by)
        else if (agent) wires[by]?.push(send(agent, 'more'))
      }
      for (const by of [0, 1]) while (wires[by]?.length) deliver(by)
      const [alice, bob] = pair
      t.equal(activeOf(alice), activeOf(bob))
      t.equal(textOf(receive(bob, send(alice, 'on')).content), 'on')
      t.equal(textOf(receive(alice, send(bob, 'and on')).content), 'and on')
    }),
    { numRuns: 40 },
  )
})

t.test(
  'a superseded session stays readable, is not activated by receipt, and is deleted after the mailbox lifetime',
  async t => {
    const pair = makePair()
    const [alice, bob] = pair
    const [ofAlice, ofBob] = startBoth(pair)
    const aliceWins = toHex(ofAlice) === smaller(ofAlice, ofBob)
    const [winner, loser] = aliceWins ? [alice, bob] : [bob, alice]
    const lost = aliceWins ? ofBob : ofAlice
    const late = [send(loser, 'late 0'), send(loser, 'late 1'), send(loser, 'late 2')] as const
    const start0 = send(winner, 'start')
    const crossed = receive(winner, late[0])
    t.strictSame(crossed.arrival, { kind: 'new', outcome: 'superseded' })
    receive(loser, start0)
    t.match(findSession(loser.peer, lost)?.status, { kind: 'superseded' })
    t.equal(textOf(receive(winner, late[1]).content), 'late 1')
    t.equal(activeOf(winner), smaller(ofAlice, ofBob))
    advance(7 * dayMs + 1, winner, loser)
    receive(winner, send(loser, 'on the winning one'))
    t.equal(findSession(winner.peer, lost), undefined)
    t.throws(() => tryReceive(winner, late[2]), undecryptable)
  },
)

t.test(
  "a peer's start crosses ours until 10 minutes after our session was answered, and becomes active afterwards",
  async t => {
    for (const [waitMs, crosses] of [
      [10 * minuteMs - 1, true],
      [10 * minuteMs, false],
    ] as const) {
      let kept = 0
      for (let run = 0; run < 8; run++) {
        const [alice, bob] = makeAcquainted(`answered ${run}`)
        const own = activeOf(alice)
        advance(waitMs, alice, bob)
        bob.peer = newPeer('alice@localhost')
        const sid = start(bob, serve(alice))
        receive(alice, send(bob, 'I forgot you'))
        t.equal(activeOf(alice), crosses && own < toHex(sid) ? own : toHex(sid))
        if (activeOf(alice) === own) kept++
      }
      t.equal(kept > 0, crosses)
    }
  },
)

t.test('without a crossing, the session of the last decrypted message is active', async t => {
  const [alice, bob] = makeAcquainted()
  const late = send(alice, 'late')
  const first = activeOf(alice)
  advance(11 * minuteMs, alice, bob)
  const second = start(alice, serve(bob))
  receive(bob, send(alice, 'second'))
  t.equal(activeOf(bob), toHex(second))
  receive(bob, late)
  t.equal(activeOf(bob), first)
  receive(bob, send(alice, 'second again'))
  t.equal(activeOf(bob), toHex(second))
})

t.test('a session that begins with a reset becomes active on both sides and retires all others', async t => {
  const [alice, bob] = makeAcquainted()
  const old = activeSession(alice.peer)
  const late = send(bob, 'late')
  const sid = start(alice, serve(bob))
  const reset = sendReset(alice)
  t.equal(activeOf(alice), toHex(sid))
  t.match(
    alice.peer.sessions.map(({ status }) => status.kind),
    ['retired', 'current'],
  )
  t.equal(receive(bob, reset).content.kind, 'reset')
  t.equal(activeOf(bob), toHex(sid))
  t.match(
    bob.peer.sessions.map(({ status }) => status.kind),
    ['retired', 'current'],
  )
  t.equal(textOf(receive(alice, late).content), 'late', 'a retired session stays readable')
  t.equal(activeOf(alice), toHex(sid), 'and is not activated by receipt')
  advance(7 * dayMs + 1, alice, bob)
  receive(alice, send(bob, 'later'))
  t.equal(old && findSession(alice.peer, old.sid), undefined)
})

t.test('a reset wins against a crossing plain start, whichever sid is smaller', async t => {
  for (let run = 0; run < 8; run++) {
    const pair = makePair(`reset against start ${run}`)
    const [alice, bob] = pair
    const [ofAlice] = startBoth(pair)
    const [reset, plain] = [sendReset(alice), send(bob, 'plain')]
    receive(bob, reset)
    t.equal(textOf(receive(alice, plain).content), 'plain')
    t.strictSame([activeOf(alice), activeOf(bob)], [toHex(ofAlice), toHex(ofAlice)])
  }
})

t.test('of two crossing resets the smaller sid wins', async t => {
  for (let run = 0; run < 8; run++) {
    const pair = makePair(`two resets ${run}`)
    const [alice, bob] = pair
    const sids = startBoth(pair)
    const [fromAlice, fromBob] = [sendReset(alice), sendReset(bob, 'renewal')]
    receive(bob, fromAlice)
    receive(alice, fromBob)
    t.strictSame([activeOf(alice), activeOf(bob)], [smaller(...sids), smaller(...sids)])
    t.equal(textOf(receive(bob, send(alice, 'on')).content), 'on')
  }
})

t.test('messages on a reset that won its crossing are in order, even if we have reset once more', async t => {
  const outcomes = new Set<string>()
  for (let run = 0; run < 8; run++) {
    const pair = makePair(`reset after reset ${run}`)
    const [alice, bob] = pair
    const [ofAlice, ofBob] = startBoth(pair)
    const [fromAlice, fromBob] = [sendReset(alice), sendReset(bob)]
    start(alice, serve(bob))
    sendReset(alice)
    receive(bob, fromAlice)
    const isWon = activeOf(bob) === toHex(ofAlice)
    const next = [send(bob, 'next'), send(bob, 'and next')]
    receive(alice, fromBob)
    advance(1, alice)
    const late = next.map(body => receive(alice, body).isLate)
    t.strictSame(late, [false, false])
    outcomes.add(isWon && activeOf(alice) === toHex(ofBob) ? 'on what alice has left' : 'on what is active')
  }
  t.equal(outcomes.size, 2)
})

t.test("a message encrypted before its sender's reset is late after that reset", async t => {
  for (let run = 0; run < 8; run++) {
    const pair = makePair(`left behind ${run}`)
    const [alice, bob] = pair
    start(alice, serve(bob))
    receive(bob, sendReset(alice))
    receive(alice, send(bob, 'on time'))
    const before = send(bob, 'before')
    start(bob, serve(alice))
    advance(11 * minuteMs, alice)
    receive(alice, sendReset(bob))
    t.equal(receive(alice, before).isLate, true)
  }
})

t.test('a reset overtaken by the next message still counts as the first content', async t => {
  const pair = makePair('overtaken')
  const [alice, bob] = pair
  const [ofAlice] = startBoth(pair)
  const [reset, next] = [sendReset(alice), send(alice, 'next')]
  receive(bob, next)
  receive(bob, reset)
  t.equal(activeOf(bob), toHex(ofAlice))
})

t.test('a reset that is not the first content retires no session', async t => {
  const [alice, bob] = makeAcquainted()
  const other = start(alice, serve(bob))
  receive(bob, send(alice, 'second session'))
  sendReset(alice)
  t.match(
    alice.peer.sessions.map(({ status }) => status.kind),
    ['current', 'current'],
  )
  t.equal(activeOf(alice), toHex(other))
})
