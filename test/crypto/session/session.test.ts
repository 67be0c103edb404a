import fc from 'fast-check'
import t from 'tap'
import { CryptoError, IdentityChangedError } from '../../../src/crypto/errors.ts'
import { decodeBundle, encodeBundle } from '../../../src/crypto/keys/bundle.ts'
import { rotatePrekeys } from '../../../src/crypto/keys/prekeys.ts'
import { decodeMessage } from '../../../src/crypto/messages/message.ts'
import { encryptContent } from '../../../src/crypto/session/encrypt-content.ts'
import { markChanged, newPeer } from '../../../src/crypto/session/peer.ts'
import { startSession } from '../../../src/crypto/session/start-session.ts'
import {
  type Agent,
  activeOf,
  advance,
  dayMs,
  makeAcquainted,
  makeAgent,
  makePair,
  minuteMs,
  receive,
  send,
  serve,
  start,
  stateOf,
  textOf,
  tryReceive,
} from '../../../tools/clients/crypto-agents.ts'
import { verifyNative } from '../../fixtures/native-ed25519.ts'

const undecryptable = new CryptoError('undecryptable')
const badBundle = new CryptoError('bad_bundle')
const suite1 = { minSuite: 1 as const, maxSuite: 2 as const, mailboxLifetimeMs: 7 * dayMs }
const suite2 = { ...suite1, minSuite: 2 as const }

/** A bundle of `agent` with some fields replaced. */
function tamper(agent: Agent, change: Partial<ReturnType<typeof decodeBundle>>) {
  const served = serve(agent, 0)
  return { bundle: encodeBundle(agent.self.identity, { ...decodeBundle(served.bundle), ...change }) }
}

for (const oneTime of [0, 1] as const) {
  t.test(`two agents without a session can exchange messages, with ${oneTime} one-time keys`, async t => {
    const [alice, bob] = makePair()
    start(alice, serve(bob, oneTime))
    const body = send(alice, 'hello')
    t.equal(decodeMessage(body).type, 'prekey')
    const first = receive(bob, body)
    t.equal(textOf(first.content), 'hello')
    t.strictSame(first.arrival, { kind: 'new', outcome: 'active' })
    t.equal(decodeMessage(send(alice, 'again')).type, 'prekey', 'until the peer has answered')
    const answer = receive(alice, send(bob, 'hello yourself'))
    t.strictSame(answer.arrival, { kind: 'known' })
    t.equal(decodeMessage(send(alice, 'now')).type, 'ratchet')
    t.equal(activeOf(alice), activeOf(bob))
    t.equal(bob.peer.trust, 'first-use')
    t.equal(bob.peer.minSuite, 2)
  })
}

t.test('17.14 a bundle over 37 days old is refused at first contact, and only then', async t => {
  const [alice, bob] = makePair()
  const issuedAt = (days: number) => tamper(bob, { issuedAtS: Math.floor((alice.nowMs - days * dayMs) / 1_000) })
  for (const days of [38, 400]) {
    t.throws(() => startSession(alice.peer, { ...alice, served: issuedAt(days) }), new CryptoError('old_bundle'))
  }
  t.match(new CryptoError('old_bundle').message, /37 days/)
  start(alice, issuedAt(36))
  t.equal(textOf(receive(bob, send(alice, 'young enough')).content), 'young enough')
  start(alice, issuedAt(400))
  t.equal(textOf(receive(bob, send(alice, 'a known peer')).content), 'a known peer')
})

t.test('suite 1 is used if the peer offers no better suite and no minimum forbids it', async t => {
  const [alice, bob] = makePair()
  start(alice, tamper(bob, { suites: [1] }))
  t.equal(textOf(receive(bob, send(alice, 'plain X3DH')).content), 'plain X3DH')
  t.equal(textOf(receive(alice, send(bob, 'indeed')).content), 'indeed')
  t.strictSame([alice.peer.minSuite, bob.peer.minSuite], [1, 1])
})

// Evidence: K3
t.test('a suite below the policy or the remembered minimum is refused in a bundle and in a message', async t => {
  const refused = new CryptoError('suite_refused')
  const [alice, bob] = makePair()
  const old = tamper(bob, { suites: [1] })
  t.throws(() => startSession(alice.peer, { ...alice, served: old, policy: suite2 }), refused)
  t.throws(() => startSession({ ...alice.peer, minSuite: 2 }, { ...alice, served: old }), refused)
  t.throws(() => startSession(alice.peer, { ...alice, served: tamper(bob, { suites: [9] }) }), refused)
  start(alice, old)
  const body = send(alice, 'downgraded')
  const before = stateOf(bob)
  t.throws(() => tryReceive(bob, body, { policy: suite2 }), refused)
  t.throws(() => tryReceive({ ...bob, peer: { ...bob.peer, minSuite: 2 } }, body), refused)
  t.equal(stateOf(bob), before)
})

t.test('a bundle with another address, an older seq, our own key or a foreign signature starts no session', async t => {
  const [alice, bob] = makeAcquainted()
  const before = stateOf(alice)
  const startWith = (served: ReturnType<typeof serve>) => startSession(alice.peer, { ...alice, served })
  t.throws(() => startWith(tamper(bob, { address: 'carol@localhost' })), badBundle, 'address')
  t.throws(() => startWith(tamper(bob, { seq: alice.peer.maxSeq - 1 })), badBundle, 'older')
  t.doesNotThrow(() => startWith(tamper(bob, { seq: alice.peer.maxSeq })), 'the same again')
  const mirror = { ...alice, self: { ...alice.self, address: 'bob@localhost' } }
  t.throws(() => startWith(serve(mirror, 0)), badBundle, 'own key')
  const served = serve(bob)
  const kem = served.oneTimeKemKey
  if (!kem) throw new Error('one is served')
  const signature = kem.signature.toReversed()
  t.throws(() => startWith({ ...served, oneTimeKemKey: { ...kem, signature } }), badBundle, 'KEM signature')
  t.throws(() => startWith({ ...served, oneTimeKey: { id: 1, key: new Uint8Array(32) } }), new CryptoError('bad_key'))
  t.equal(stateOf(alice), before)
})

t.test('an identity key other than the pinned one starts no session, in a bundle and in a message', async t => {
  const [alice, bob] = makeAcquainted()
  const impostor = makeAgent('bob', 'alice', 'impostor')
  for (const verify of [undefined, verifyNative]) {
    t.throws(
      () => startSession(alice.peer, { ...alice, served: serve(impostor), ...(verify && { verify }) }),
      new IdentityChangedError(impostor.self.identity.publicKey),
    )
  }
  start(impostor, serve(alice))
  const before = stateOf(alice)
  t.throws(
    () => tryReceive(alice, send(impostor, 'it is me')),
    new IdentityChangedError(impostor.self.identity.publicKey),
  )
  t.equal(stateOf(alice), before)
  const changed = markChanged(alice.peer, impostor.self.identity.publicKey)
  const content = { id: new Uint8Array(16), kind: 'empty', sentAtMs: 0, body: new Uint8Array() } as const
  t.throws(() => encryptContent(changed, content, alice), new CryptoError('identity_changed'))
  t.throws(() => startSession(changed, { ...alice, served: serve(bob) }), new CryptoError('identity_changed'))
})

// Evidence: K3
t.test('nothing is encrypted without a session, or on a session without an answer for 30 days', async t => {
  const [alice, bob] = makePair()
  const noSession = new CryptoError('no_session')
  t.throws(() => send(alice, 'to whom?'), noSession)
  start(alice, serve(bob))
  advance(30 * dayMs - 1, alice)
  send(alice, 'still there?')
  advance(1, alice)
  t.throws(() => send(alice, 'hello?'), noSession)
})

// Evidence: K7
t.test('a damaged, truncated or re-addressed body is refused and changes no state', async t => {
  const [alice, bob] = makePair()
  start(alice, serve(bob))
  const first = send(alice, 'first')
  const carol = makeAgent('carol', 'alice')
  const untouched = stateOf(bob)
  for (const [stage, body] of [
    ['new session', first],
    ['known session', send(alice, 'second')],
  ] as const) {
    const before = stateOf(bob)
    fc.assert(
      fc.property(fc.nat(body.length * 8 - 1), bit => {
        const damaged = body.slice()
        damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        t.throws(() => tryReceive(bob, damaged), CryptoError, `bit ${bit}`)
      }),
      { numRuns: 60 },
    )
    fc.assert(
      fc.property(fc.nat(body.length - 1), length => {
        t.throws(() => tryReceive(bob, body.subarray(0, length)), CryptoError, `${length} bytes`)
      }),
      { numRuns: 30 },
    )
    t.throws(() => tryReceive(bob, body, { from: 'mallory@localhost' }), undecryptable, `${stage}: other sender`)
    const asMallory = { ...bob, peer: newPeer('mallory@localhost') }
    t.throws(() => tryReceive(asMallory, body), undecryptable, `${stage}: under another name`)
    t.throws(() => tryReceive(carol, body), undecryptable, `${stage}: to another`)
    t.equal(stateOf(bob), before, stage)
    if (stage === 'new session') t.equal(before, untouched)
    t.equal(textOf(receive(bob, body).content), stage === 'new session' ? 'first' : 'second')
  }
})

t.test('a body in a frame of the wrong type is refused', async t => {
  const [alice, bob] = makeAcquainted()
  const body = send(alice, 'in a message frame')
  const before = stateOf(bob)
  t.throws(() => tryReceive(bob, body, { frameType: 'key_exchange' }), new CryptoError('malformed'))
  t.equal(stateOf(bob), before)
  start(alice, serve(bob))
  t.throws(() => tryReceive(bob, send(alice, 'no answer'), { frameType: 'key_exchange' }), undecryptable)
})

// Evidence: K8
t.test('a repeated body is refused and changes no state', async t => {
  const [alice, bob] = makePair()
  start(alice, serve(bob))
  const bodies = [send(alice, 'one'), send(alice, 'two')]
  for (const body of bodies) receive(bob, body)
  const answer = send(bob, 'three')
  receive(alice, answer)
  const states = [stateOf(alice), stateOf(bob)]
  for (const body of bodies) t.throws(() => tryReceive(bob, body), undecryptable)
  t.throws(() => tryReceive(alice, answer), undecryptable)
  t.strictSame([stateOf(alice), stateOf(bob)], states)
})

t.test('a first message without one-time keys is accepted once, even after the session was deleted', async t => {
  const [alice, bob] = makePair()
  start(alice, serve(bob, 0))
  const body = send(alice, 'once')
  receive(bob, body)
  const forgetful = { ...bob, peer: newPeer('alice@localhost') }
  for (let count = 0; count < 10; count++) t.throws(() => tryReceive(forgetful, body), undecryptable)
  const rotated = { ...forgetful, prekeys: rotatePrekeys(bob.prekeys, bob) }
  t.throws(() => tryReceive(rotated, body), undecryptable, 'and after a rotation')
})

// Evidence: K9
t.test('a one-time key is used once and deleted with the message that used it', async t => {
  const [alice, bob] = makePair()
  const served = serve(bob)
  const held = bob.prekeys
  start(alice, served)
  const body = send(alice, 'mine')
  const { prekeys } = receive(bob, body)
  t.equal(prekeys.oneTimeKeys.length, held.oneTimeKeys.length - 1)
  t.equal(prekeys.oneTimeKemKeys.length, held.oneTimeKemKeys.length - 1)
  t.notOk(prekeys.oneTimeKeys.some(({ id }) => id === served.oneTimeKey?.id))
  const carol = makeAgent('carol', 'bob')
  start(carol, served)
  const bobForCarol = { ...bob, peer: newPeer('carol@localhost') }
  t.throws(() => tryReceive(bobForCarol, send(carol, 'also mine')), undecryptable, 'a node that serves them twice')
  t.equal(receive(bob, send(alice, 'more')).prekeys, prekeys, 'a known session leaves the prekeys as they are')
})

t.test('a body of 64 KiB is accepted and a larger one refused', async t => {
  const [alice, bob] = makePair()
  start(alice, serve(bob))
  const body = send(alice, new Uint8Array(65_536))
  t.ok(body.length <= 92_160)
  t.equal(receive(bob, body).content.body.length, 65_536)
  t.throws(() => send(alice, new Uint8Array(65_537)), new CryptoError('too_large'))
})

t.test("a peer's handshakes are accepted three times a minute and ten times an hour", async t => {
  const [alice, bob] = makePair()
  const rateLimited = new CryptoError('rate_limited')
  const knock = (): Uint8Array => {
    alice.peer = newPeer('bob@localhost')
    start(alice, serve(bob))
    return send(alice, 'knock')
  }
  for (let count = 0; count < 3; count++) receive(bob, knock())
  const fourth = knock()
  const before = stateOf(bob)
  t.throws(() => tryReceive(bob, fourth), rateLimited)
  t.equal(stateOf(bob), before)
  advance(minuteMs, alice, bob)
  receive(bob, fourth)
  for (let count = 4; count < 10; count++) {
    advance(minuteMs, alice, bob)
    receive(bob, knock())
  }
  advance(minuteMs, alice, bob)
  const eleventh = knock()
  t.throws(() => tryReceive(bob, eleventh), rateLimited)
  t.equal(bob.peer.sessions.length, 8, 'and the record holds eight sessions')
  advance(60 * minuteMs, alice, bob)
  t.equal(textOf(receive(bob, eleventh).content), 'knock')
  t.equal(bob.peer.sessions.length, 8)
})

t.test('a clock that is set back does not block a peer for long', async t => {
  const [alice, bob] = makePair()
  for (let count = 0; count < 3; count++) {
    alice.peer = newPeer('bob@localhost')
    start(alice, serve(bob))
    receive(bob, send(alice, 'knock'))
  }
  advance(-dayMs, bob)
  start(alice, serve(bob))
  t.equal(textOf(receive(bob, send(alice, 'knock')).content), 'knock')
})

t.test('two agents read every message that any network delivers', async t => {
  const action = fc.record({
    by: fc.nat(1),
    what: fc.constantFrom('send', 'deliver', 'repeat', 'lose', 'start'),
    pick: fc.nat(99),
  })
  fc.assert(
    fc.property(fc.array(action, { maxLength: 25 }), actions => {
      const agents = makePair()
      const wires: { body: Uint8Array; text: string; done: boolean }[][] = [[], []]
      for (const [step, { by, what, pick }] of actions.entries()) {
        const [me, other, wire] = [agents[by], agents[1 - by], wires[by]]
        if (!me || !other || !wire) throw new Error('two sides')
        advance(30 * minuteMs, ...agents)
        const waiting = wire[pick % Math.max(1, wire.length)]
        if (what === 'start' || (what === 'send' && me.peer.active === null))
          start(me, serve(other, step % 2 === 0 ? 1 : 0))
        if (what === 'send') wire.push({ body: send(me, `${step}`), text: `${step}`, done: false })
        else if (what === 'start' || !waiting) continue
        else if (what === 'lose') wire.splice(wire.indexOf(waiting), 1)
        else if (waiting.done) {
          const before = stateOf(other)
          t.throws(() => tryReceive(other, waiting.body), undecryptable)
          t.equal(stateOf(other), before)
        } else {
          t.equal(textOf(receive(other, waiting.body).content), waiting.text)
          waiting.done = true
        }
      }
    }),
    { numRuns: 40 },
  )
})

// Evidence: K5
t.test('a header whose identity key does not match its session id pins no key', async t => {
  const [alice, bob] = makePair()
  start(alice, serve(bob))
  const body = send(alice, 'hello')
  body.set(new Uint8Array(32), 4)
  t.throws(() => tryReceive(bob, body), undecryptable)
  t.equal(bob.peer.trust, 'unknown')
})
