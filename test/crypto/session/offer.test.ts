import { createPublicKey, verify } from 'node:crypto'
import { readFileSync } from 'node:fs'
import t from 'tap'
import { CryptoError } from '../../../src/crypto/errors.ts'
import { decodeMessage, encodeOfferDeclined, type OfferMessage } from '../../../src/crypto/messages/message.ts'
import { acceptOffer, awaitAnswer, dropOffer, findOffer, makeOffer } from '../../../src/crypto/session/offer.ts'
import { newPeer } from '../../../src/crypto/session/peer.ts'
import {
  type Agent,
  activeOf,
  advance,
  fromHex,
  makeAgent,
  makePair,
  receive,
  send,
  serve,
  stateOf,
  textOf,
  tryReceive,
} from '../../../tools/clients/crypto-agents.ts'

const undecryptable = new CryptoError('undecryptable')

function offer(agent: Agent): OfferMessage {
  const made = makeOffer(agent.prekeys, { ...agent, to: agent.peer.address, lifetimeMs: 30_000 })
  agent.prekeys = made.prekeys
  const message = decodeMessage(made.body)
  if (message.type !== 'offer') throw new Error('not an offer')
  return message
}

function accept(agent: Agent, message: OfferMessage): 'answer' | 'wait' {
  const accepted = acceptOffer(agent.peer, message, agent)
  if (accepted.outcome === 'answer') agent.peer = accepted.peer
  return accepted.outcome
}

t.test('an offer is answered by a first message in a key_exchange frame, and both sides can send', async t => {
  const [alice, bob] = makePair()
  const message = offer(alice)
  t.equal(message.served.bundle.length > 0, true)
  t.equal(accept(bob, message), 'answer')
  t.equal(textOf(receive(alice, send(bob, 'here I am'), { frameType: 'key_exchange' }).content), 'here I am')
  t.equal(textOf(receive(bob, send(alice, 'welcome')).content), 'welcome')
  t.equal(activeOf(alice), activeOf(bob))
  t.strictSame(alice.prekeys.offers, [])
})

// Evidence: K5
t.test('an offer can be answered once only', async t => {
  const [alice, bob] = makePair()
  const message = offer(alice)
  accept(bob, message)
  receive(alice, send(bob, 'first'), { frameType: 'key_exchange' })
  bob.peer = newPeer(bob.peer.address)
  accept(bob, message)
  const before = stateOf(alice)
  t.throws(() => tryReceive(alice, send(bob, 'second'), { frameType: 'key_exchange' }), undecryptable)
  t.equal(stateOf(alice), before)
})

// Evidence: K5
t.test('an offer can be answered by its recipient only, before it expires', async t => {
  const [alice, bob] = makePair()
  const message = offer(alice)
  const mallory = makeAgent('mallory', 'alice')
  // The offer is signed for bob. A thief does not mind.
  accept(mallory, { ...message, signature: null })
  const stolen = send(mallory, 'it is me')
  const forMallory = { ...alice, peer: newPeer(mallory.self.address) }
  t.throws(() => tryReceive(forMallory, stolen, { frameType: 'key_exchange' }), undecryptable)
  t.throws(() => tryReceive(forMallory, stolen), undecryptable, 'nor in a message frame')
  accept(bob, message)
  const answer = send(bob, 'here I am')
  advance(30_000, alice)
  t.throws(() => tryReceive(alice, answer, { frameType: 'key_exchange' }), undecryptable)
})

t.test('an answer that mixes keys of an offer with keys from the node is refused', async t => {
  const [alice, bob] = makePair()
  const message = offer(alice)
  const { oneTimeKemKey } = serve(alice)
  const mixed = { ...message.served, ...(oneTimeKemKey && { oneTimeKemKey }) }
  // What a node could do if offers had no signature.
  accept(bob, { ...message, served: mixed, signature: null })
  t.throws(() => tryReceive(alice, send(bob, 'half an answer'), { frameType: 'key_exchange' }), undecryptable)
})

t.test('a dropped offer cannot be answered', async t => {
  const [alice, bob] = makePair()
  const message = offer(alice)
  accept(bob, message)
  alice.prekeys = dropOffer(alice.prekeys, message.offerId)
  t.throws(() => tryReceive(alice, send(bob, 'too late'), { frameType: 'key_exchange' }), undecryptable)
})

t.test('an offer that has expired or names another address is not accepted', async t => {
  const [alice, bob] = makePair()
  const message = offer(alice)
  advance(30_000, bob)
  t.throws(() => accept(bob, message), new CryptoError('offer_expired'))
  const [, other] = makePair()
  other.peer = newPeer('carol@localhost')
  t.throws(() => accept(other, message), new CryptoError('bad_offer'))
  t.throws(() => accept(other, { ...message, signature: null }), new CryptoError('bad_bundle'))
})

t.test('of two crossing offers, the side with the smaller identity key answers and the other waits', async t => {
  for (let run = 0; run < 6; run++) {
    const pair = makePair(`offers ${run}`)
    const [alice, bob] = pair
    const [ofAlice, ofBob] = [offer(alice), offer(bob)]
    const outcomes = [accept(alice, ofBob), accept(bob, ofAlice)]
    const keys = pair.map(({ self }) => Buffer.from(self.identity.publicKey))
    const aliceIsSmaller = Buffer.compare(keys[0] ?? Buffer.of(), keys[1] ?? Buffer.of()) < 0
    t.strictSame(outcomes, aliceIsSmaller ? ['answer', 'wait'] : ['wait', 'answer'])
    const [answerer, waiter] = aliceIsSmaller ? [alice, bob] : [bob, alice]
    receive(waiter, send(answerer, 'answer'), { frameType: 'key_exchange' })
    t.equal(activeOf(alice), activeOf(bob))
  }
})

t.test('a declined offer is found only for the user it was sent to', async t => {
  const [alice] = makePair()
  const { offerId } = offer(alice)
  const declined = decodeMessage(encodeOfferDeclined(offerId, 3))
  t.strictSame(declined, { type: 'offer-declined', offerId, reason: 3 })
  t.ok(findOffer(alice.prekeys, offerId, 'bob@localhost'))
  t.equal(findOffer(alice.prekeys, offerId, 'mallory@localhost'), undefined)
  t.equal(findOffer(alice.prekeys, new Uint8Array(16), 'bob@localhost'), undefined)
})

t.test('the answer and the later message frames belong to one session', async t => {
  const [alice, bob] = makePair()
  accept(bob, offer(alice))
  receive(alice, send(bob, 'answer'), { frameType: 'key_exchange' })
  t.equal(textOf(receive(alice, send(bob, 'more')).content), 'more')
  t.equal(alice.peer.sessions.length, 1)
})

t.test('an offer does not raise the seq above that of the published bundle', async t => {
  const [alice, bob] = makePair()
  const { prekeys } = alice
  accept(bob, offer(alice))
  t.equal(alice.prekeys.seq, prekeys.seq)
  t.equal(bob.peer.maxSeq, prekeys.seq)
})

t.test('at most 32 offers wait for an answer at the same time', async t => {
  const [alice] = makePair()
  const { nowMs, random } = alice
  const waiting = Array.from({ length: 32 }, () => ({
    offerId: random(16),
    to: 'bob@localhost',
    expiresAtMs: nowMs + 1,
    oneTimeKey: { id: 1, privateKey: random(32) },
    oneTimeKemKey: { id: 2, seed: random(64) },
  }))
  alice.prekeys = { ...alice.prekeys, offers: waiting }
  t.throws(() => offer(alice), new CryptoError('rate_limited'))
  advance(1, alice)
  offer(alice)
  t.equal(alice.prekeys.offers.length, 1, 'expired offers make room')
})

const badOffer = new CryptoError('bad_offer')

/** Two agents with a session that both sides have used. */
function makeAcquaintedPair(): [Agent, Agent] {
  const [alice, bob] = makePair()
  accept(bob, offer(alice))
  receive(alice, send(bob, 'hello'), { frameType: 'key_exchange' })
  receive(bob, send(alice, 'welcome'))
  return [alice, bob]
}

// Evidence: K5
t.test('17.7 an offer that its sender did not sign starts no session beside a live one', async t => {
  const [alice, bob] = makeAcquaintedPair()
  const genuine = offer(alice)
  const { served } = genuine
  const before = stateOf(bob)
  const { oneTimeKey: _oneTimeKey, ...withoutOneTimeKey } = served
  const { oneTimeKemKey: _oneTimeKemKey, ...withoutOneTimeKemKey } = served
  const forgeries: Record<string, OfferMessage> = {
    unsigned: { ...genuine, signature: null },
    'of the public bundle alone': { ...genuine, served: { bundle: served.bundle }, signature: null },
    'with a pool key in place of its own': { ...genuine, served: { ...served, oneTimeKey: { id: 9, key: nine } } },
    'with a KEM key of the pool': { ...genuine, served: { ...served, ...kemKeyOfPool(alice) } },
    'without a one-time key': { ...genuine, served: withoutOneTimeKey },
    'without a one-time KEM key': { ...genuine, served: withoutOneTimeKemKey },
    'with a later deadline': { ...genuine, expiresAtS: genuine.expiresAtS + 1 },
    'with another id': { ...genuine, offerId: new Uint8Array(16) },
    'signed by another key': { ...genuine, signature: offer(makeAgent('alice', 'bob', 'mallory')).signature },
    'with a damaged signature': { ...genuine, signature: new Uint8Array(64) },
  }
  for (const [how, forgery] of Object.entries(forgeries)) {
    t.throws(() => accept(bob, forgery), badOffer, how)
    t.equal(stateOf(bob), before, `${how}: nothing changes`)
  }
  const carol = makeAgent('carol', 'alice')
  t.throws(() => accept(carol, genuine), badOffer, 'an offer to another agent')
  t.equal(accept(bob, genuine), 'answer', 'the genuine offer is accepted')
})

const nine = Uint8Array.of(9, ...new Array(31).fill(0))

function kemKeyOfPool(agent: Agent) {
  const { oneTimeKemKey } = serve(agent)
  return oneTimeKemKey && { oneTimeKemKey }
}

t.test('17.7 an unsigned offer of an earlier version starts a session only where there is none', async t => {
  const [alice, bob] = makePair()
  t.equal(accept(bob, { ...offer(alice), signature: null }), 'answer')
  t.throws(() => accept(bob, { ...offer(alice), signature: null }), badOffer)
})

t.test('17.7 the session of an offer becomes active when the other side has answered on it', async t => {
  const [alice, bob] = makeAcquaintedPair()
  const before = activeOf(bob)
  const known = bob.peer
  accept(bob, offer(alice))
  const answer = send(bob, 'answer')
  bob.peer = awaitAnswer(known, bob.peer, bob.nowMs)
  t.equal(activeOf(bob), before, 'bob goes on with the old session')
  t.equal(textOf(receive(alice, send(bob, 'on the old session')).content), 'on the old session')
  receive(alice, answer, { frameType: 'key_exchange' })
  t.not(activeOf(alice), before)
  t.equal(textOf(receive(bob, send(alice, 'confirmed')).content), 'confirmed')
  t.equal(activeOf(bob), activeOf(alice))
  t.not(activeOf(bob), before)
})

t.test('17.7 where there is no session to send on, the session of an offer is active at once', async t => {
  const [alice, bob] = makePair()
  const known = bob.peer
  accept(bob, offer(alice))
  const active = activeOf(bob)
  send(bob, 'answer')
  bob.peer = awaitAnswer(known, bob.peer, bob.nowMs)
  t.equal(activeOf(bob), active)
})

type Vector = Record<'from' | 'to' | 'identity_public' | 'offer_id' | 'served' | 'signature' | 'body', string> & {
  expires_at_s: number
}
const vectors: Vector[] = JSON.parse(readFileSync(new URL('../../vectors/aim1-offer.json', import.meta.url), 'utf8'))

t.test('17.7 the vectors of offers have the bytes that the document states', async t => {
  const u8 = (number: number) => number.toString(16).padStart(2, '0')
  const vec8 = (text: string) => u8(text.length) + Buffer.from(text).toString('hex')
  for (const { from, to, identity_public, offer_id, expires_at_s, served, signature, body } of vectors) {
    const fields = offer_id + expires_at_s.toString(16).padStart(16, '0') + served
    t.equal(body, `0105${fields}${signature}`)
    const label = Buffer.from('AIMessage1 offer\0').toString('hex')
    const signed = Buffer.from(label + vec8(from) + vec8(to) + fields, 'hex')
    const x = Buffer.from(identity_public, 'hex').toString('base64url')
    const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' })
    t.ok(verify(null, signed, key, Buffer.from(signature, 'hex')))
    const message = decodeMessage(fromHex(body))
    t.match(message, { type: 'offer', expiresAtS: expires_at_s })
  }
})
