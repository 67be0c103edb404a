import t from 'tap'
import { CryptoError } from '../../../src/crypto/errors.ts'
import { decodeMessage, encodeOfferDeclined, type OfferMessage } from '../../../src/crypto/messages/message.ts'
import { acceptOffer, dropOffer, findOffer, makeOffer } from '../../../src/crypto/session/offer.ts'
import { newPeer } from '../../../src/crypto/session/peer.ts'
import {
  type Agent,
  activeOf,
  advance,
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
  if (message.type !== 'offer') throw new Error('an offer is of type 03')
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
  accept(mallory, message)
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
  accept(bob, { ...message, served: mixed })
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
  t.throws(() => accept(other, message), new CryptoError('bad_bundle'))
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
