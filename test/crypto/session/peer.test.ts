import t from 'tap'
import { CryptoError } from '../../../src/crypto/errors.ts'
import {
  activeSession,
  dismissChange,
  dropSessions,
  hasSession,
  markChanged,
  markVerified,
  needsAnswer,
  needsHeartbeat,
  needsRenewal,
  newPeer,
  type Peer,
  resetAllowed,
  trustPeer,
} from '../../../src/crypto/session/peer.ts'
import { decodePeer, encodePeer } from '../../../src/crypto/session/peer-codec.ts'
import { concatBytes } from '../../../src/util/bytes.ts'
import {
  type Agent,
  advance,
  dayMs,
  hourMs,
  makeAcquainted,
  makeAgent,
  makePair,
  receive,
  send,
  sendReset,
  serve,
  start,
} from '../../../tools/clients/crypto-agents.ts'

const other = makeAgent('other', 'alice').self.identity.publicKey

/** Returns the peer with changes to its active session. */
const withActive = ({ peer }: Agent, change: Partial<NonNullable<ReturnType<typeof activeSession>>>): Peer => ({
  ...peer,
  sessions: peer.sessions.map(session => ({ ...session, ...change })),
})

t.test('a changed key waits until the user accepts it or keeps the pinned one', async t => {
  const [alice, bob] = makeAcquainted()
  const pinned = bob.self.identity.publicKey
  const verified = markVerified(alice.peer, pinned)
  t.equal(verified.trust, 'verified')
  const changed = markChanged(verified, other)
  t.match(changed, { trust: 'changed', identity: pinned, seen: other })
  t.strictSame(dismissChange(changed), verified)
  t.throws(() => trustPeer(changed, pinned), new CryptoError('identity_changed'))
  const trusted = trustPeer(changed, other)
  t.match(trusted, { trust: 'first-use', identity: other, sessions: [], active: null, maxSeq: 0, minSuite: 2 })
  t.notOk('seen' in trusted || 'before' in trusted)
})

t.test('a key that was not presented cannot be trusted, and only the pinned key can be verified', async t => {
  const [alice] = makeAcquainted()
  t.throws(() => trustPeer(alice.peer, other), new CryptoError('identity_changed'))
  t.equal(dismissChange(alice.peer), alice.peer)
  t.strictSame(markChanged(newPeer('bob@localhost'), other), newPeer('bob@localhost'))
  for (const peer of [alice.peer, newPeer('bob@localhost'), markChanged(alice.peer, other)]) {
    t.throws(() => markVerified(peer, other), new CryptoError('identity_changed'))
  }
})

t.test('a session is renewed after 7 days', async t => {
  const [alice] = makeAcquainted()
  t.notOk(needsRenewal(alice.peer, alice.nowMs + 7 * dayMs - 1))
  t.ok(needsRenewal(alice.peer, alice.nowMs + 7 * dayMs))
})

t.test('a session is renewed after 10 000 messages', async t => {
  const [alice] = makeAcquainted()
  t.notOk(needsRenewal(withActive(alice, { sent: 5_000, received: 4_999 }), alice.nowMs))
  t.ok(needsRenewal(withActive(alice, { sent: 5_000, received: 5_000 }), alice.nowMs))
})

t.test('a session is renewed if the peer offers a better suite that we support', async t => {
  const [alice] = makeAcquainted()
  const old = withActive(alice, { suite: 1 })
  t.ok(needsRenewal(old, alice.nowMs, [1, 2]))
  t.notOk(needsRenewal(old, alice.nowMs, [1, 7]))
  t.notOk(needsRenewal(alice.peer, alice.nowMs, [1, 2]))
})

t.test('an unanswered session is not renewed, and neither is a missing one', async t => {
  const [alice, bob] = makePair()
  t.notOk(needsRenewal(alice.peer, alice.nowMs + 8 * dayMs))
  start(alice, serve(bob))
  t.notOk(needsRenewal(alice.peer, alice.nowMs + 8 * dayMs))
})

t.test('a renewal happens at most once an hour', async t => {
  const [alice, bob] = makeAcquainted()
  start(alice, serve(bob))
  receive(bob, sendReset(alice, 'renewal'))
  receive(alice, send(bob))
  t.notOk(needsRenewal(withActive(alice, { sent: 10_000 }), alice.nowMs + hourMs - 1))
  t.ok(needsRenewal(withActive(alice, { sent: 10_000 }), alice.nowMs + hourMs))
  t.ok(resetAllowed(alice.peer, alice.nowMs), 'a renewal does not count as a reset')
})

t.test('a reset is allowed once an hour, and only for a peer whose key is pinned and not in doubt', async t => {
  const [alice, bob] = makeAcquainted()
  t.ok(resetAllowed(alice.peer, alice.nowMs))
  t.notOk(resetAllowed(newPeer('bob@localhost'), alice.nowMs))
  t.notOk(resetAllowed(markChanged(alice.peer, other), alice.nowMs))
  start(alice, serve(bob))
  sendReset(alice)
  t.notOk(resetAllowed(alice.peer, alice.nowMs + hourMs - 1))
  t.ok(resetAllowed(alice.peer, alice.nowMs + hourMs))
  t.ok(resetAllowed(alice.peer, alice.nowMs - dayMs), 'a clock that is set back does not forbid it for long')
})

t.test('a heartbeat is due after 50 messages on one chain, until something is sent', async t => {
  const [alice, bob] = makeAcquainted()
  for (let count = 1; count < 50; count++) receive(bob, send(alice))
  t.notOk(needsHeartbeat(bob.peer), 'at 49')
  receive(bob, send(alice))
  t.ok(needsHeartbeat(bob.peer), 'at 50')
  receive(alice, send(bob, '', 'empty'))
  t.notOk(needsHeartbeat(bob.peer))
  t.notOk(needsHeartbeat(alice.peer))
})

t.test('a session started by the peer needs an answer until we send on it', async t => {
  const [alice, bob] = makePair()
  start(alice, serve(bob))
  t.notOk(needsAnswer(alice.peer))
  receive(bob, send(alice))
  t.ok(needsAnswer(bob.peer))
  receive(alice, send(bob, '', 'empty'))
  t.notOk(needsAnswer(bob.peer))
  t.notOk(needsAnswer(alice.peer), 'the answer itself needs no answer')
})

t.test('after a restore from an older copy the sessions are dropped and the pinned key stays', async t => {
  const [alice, bob] = makeAcquainted()
  const dropped = dropSessions(alice.peer)
  t.notOk(hasSession(dropped, alice.nowMs))
  t.match(dropped, { trust: 'first-use', identity: bob.self.identity.publicKey, minSuite: 2 })
})

/** Peers in all stored states. */
function storedPeers(): Peer[] {
  const [alice, bob] = makeAcquainted()
  const fresh = newPeer('bob@localhost')
  const skipping = send(bob, 'skipped')
  receive(alice, send(bob, 'second'))
  const crossed = makePair('stored')
  const [ofOne, ofOther] = crossed.map(agent => serve(agent))
  if (!ofOne || !ofOther) throw new Error('two bundles')
  start(crossed[0], ofOther)
  start(crossed[1], ofOne)
  const bodies = crossed.map(agent => send(agent, 'crossing'))
  const unanswered = crossed[0].peer
  for (const [index, agent] of crossed.entries()) receive(agent, bodies[1 - index] ?? skipping)
  start(bob, serve(alice))
  sendReset(bob)
  const verified = markVerified(alice.peer, bob.self.identity.publicKey)
  const changes = [alice.peer, verified].map(peer => markChanged(peer, other))
  return [fresh, alice.peer, bob.peer, verified, ...changes, unanswered, ...crossed.map(({ peer }) => peer)]
}

t.test('the stored record is decoded unchanged, and any other bytes are refused', async t => {
  for (const peer of storedPeers()) {
    const bytes = encodePeer(peer)
    t.strictSame(decodePeer(bytes), peer)
    t.throws(() => decodePeer(concatBytes(bytes, Uint8Array.of(0))), new CryptoError('bad_state'))
    for (let length = 1; length < bytes.length; length += 31) {
      t.throws(() => decodePeer(bytes.subarray(0, length)), new CryptoError('bad_state'), `${length} bytes`)
    }
    bytes[0] = 2
    t.throws(() => decodePeer(bytes), new CryptoError('bad_version'))
  }
})

t.test('a record with one answered session takes less than 700 bytes', async t => {
  const [alice] = makeAcquainted()
  t.ok(encodePeer(alice.peer).length < 700, `${encodePeer(alice.peer).length}`)
})

t.test('a session continues from its stored record', async t => {
  const [alice, bob] = makeAcquainted()
  for (let turn = 0; turn < 5; turn++) {
    for (const agent of [alice, bob]) agent.peer = decodePeer(encodePeer(agent.peer))
    advance(1000, alice, bob)
    receive(bob, send(alice, `${turn}`))
    receive(alice, send(bob, `${turn}`))
  }
  t.equal(activeSession(alice.peer)?.received, 6)
})
