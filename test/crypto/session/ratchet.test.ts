import fc from 'fast-check'
import t from 'tap'
import { CryptoError } from '../../../src/crypto/errors.ts'
import { cryptoLimits } from '../../../src/crypto/limits.ts'
import type { RatchetHeader } from '../../../src/crypto/messages/message.ts'
import type { Random } from '../../../src/crypto/provider.ts'
import {
  decryptRatchet,
  encryptRatchet,
  initiatorRatchet,
  keyPair,
  type Ratchet,
  responderRatchet,
} from '../../../src/crypto/session/ratchet.ts'
import { countSkipped } from '../../../src/crypto/session/skipped-keys.ts'
import { decodeUtf8, encodeUtf8 } from '../../../src/util/bytes.ts'
import { dayMs, seededRandom, startMs } from '../../../tools/clients/crypto-agents.ts'

const undecryptable = new CryptoError('undecryptable')
const associatedData = encodeUtf8('associated data')
const lifetimeMs = 7 * dayMs
type Message = { header: RatchetHeader; sealed: Uint8Array }

/** One side of a ratchet, with its own randomness and clock. */
class End {
  ratchet: Ratchet
  readonly random: Random
  nowMs = startMs

  constructor(ratchet: Ratchet, seed: string) {
    this.ratchet = ratchet
    this.random = seededRandom(seed)
  }

  send(text: string): Message {
    const sent = encryptRatchet(this.ratchet, associatedData, encodeUtf8(text))
    this.ratchet = sent.ratchet
    const view = new DataView(sent.header.buffer, sent.header.byteOffset)
    return {
      header: { dh: sent.header.slice(0, 32), pn: view.getUint32(32), n: view.getUint32(36) },
      sealed: sent.sealed,
    }
  }

  receive(message: Message): string {
    const { nowMs, random } = this
    const read = decryptRatchet(this.ratchet, { ...message, associatedData }, { nowMs, random, lifetimeMs })
    this.ratchet = read.ratchet
    return decodeUtf8(read.plaintext)
  }
}

function makeEnds(): [End, End] {
  const signedPrekey = keyPair(seededRandom('signed prekey')(32))
  const secret = () => new Uint8Array(32).fill(5)
  const alice = initiatorRatchet(secret(), signedPrekey.publicKey, seededRandom('first ratchet key'))
  return [new End(alice, 'alice'), new End(responderRatchet(secret(), signedPrekey), 'bob')]
}

const flip = (message: Message, bit: number): Message => {
  const sealed = message.sealed.slice()
  sealed[bit >> 3] = (sealed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
  return { ...message, sealed }
}

/** The whole state of a ratchet as text. */
const stateOf = ({ ratchet }: End): string =>
  JSON.stringify(ratchet, (_, value) => (value instanceof Uint8Array ? [...value] : value))

t.test('a responder cannot send before it has received', async t => {
  const [, bob] = makeEnds()
  t.throws(() => bob.send('too early'), new CryptoError('no_session'))
})

// Evidence: X11
t.test('each message decrypts exactly once, in spite of loss, repetition and reordering', async t => {
  const action = fc.record({
    by: fc.nat(1),
    what: fc.constantFrom('send', 'send', 'deliver', 'repeat', 'lose'),
    pick: fc.nat(1000),
  })
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), actions => {
      const ends = makeEnds()
      const wires: { message: Message; text: string; delivered: boolean }[][] = [[], []]
      const [alice, bob] = ends
      bob.receive(alice.send('first'))
      for (const [step, { by, what, pick }] of actions.entries()) {
        const [me, wire] = [ends[by], wires[by]]
        if (!me || !wire) throw new Error('two ends')
        const text = `message ${step}`
        const waiting = wire[pick % Math.max(1, wire.length)]
        const other = ends[1 - by]
        if (what === 'send') wire.push({ message: me.send(text), text, delivered: false })
        else if (!waiting || !other) continue
        else if (what === 'lose') wire.splice(wire.indexOf(waiting), 1)
        else if (waiting.delivered) {
          const before = stateOf(other)
          t.throws(() => other.receive(waiting.message), undecryptable)
          t.equal(stateOf(other), before)
        } else {
          t.equal(other.receive(waiting.message), waiting.text)
          waiting.delivered = true
        }
      }
    }),
    { numRuns: 60 },
  )
})

t.test('a damaged message is refused and changes no state, on a known chain and on a new one', async t => {
  const [alice, bob] = makeEnds()
  const first = alice.send('first')
  const states = [stateOf(bob)]
  for (let bit = 0; bit < first.sealed.length * 8; bit += 7)
    t.throws(() => bob.receive(flip(first, bit)), undecryptable)
  states.push(stateOf(bob))
  t.equal(states[0], states[1], 'before the first message')
  bob.receive(first)
  const second = alice.send('second')
  const before = stateOf(bob)
  t.throws(() => bob.receive(flip(second, 3)), undecryptable)
  t.throws(() => bob.receive({ ...second, header: { ...second.header, pn: 1 } }), undecryptable)
  t.throws(() => bob.receive({ ...second, header: { ...second.header, n: 7 } }), undecryptable)
  t.throws(() => bob.receive({ ...second, sealed: second.sealed.subarray(16) }), undecryptable)
  t.equal(stateOf(bob), before, 'on a known chain')
  t.equal(bob.receive(second), 'second')
})

t.test('a damaged message with a skipped key leaves that key for the genuine message', async t => {
  const [alice, bob] = makeEnds()
  const late = alice.send('late')
  bob.receive(alice.send('early'))
  const before = stateOf(bob)
  t.throws(() => bob.receive(flip(late, 0)), undecryptable)
  t.equal(stateOf(bob), before)
  t.equal(bob.receive(late), 'late')
})

t.test('a low-order ratchet key is refused', async t => {
  const [alice, bob] = makeEnds()
  const message = alice.send('first')
  t.throws(() => bob.receive({ ...message, header: { ...message.header, dh: new Uint8Array(32) } }), undecryptable)
  t.equal(bob.receive(message), 'first')
})

t.test('a header that skips more than the limit is refused and changes no state', async t => {
  const [alice, bob] = makeEnds()
  bob.receive(alice.send('first'))
  const message = alice.send('second')
  const before = stateOf(bob)
  for (const n of [2 ** 31, 2 ** 32 - 1, 1 + cryptoLimits.maxSkippedPerMessage + 1]) {
    for (const dh of [message.header.dh, keyPair(seededRandom('unknown')(32)).publicKey]) {
      t.throws(() => bob.receive({ ...message, header: { dh, pn: 0, n } }), undecryptable)
    }
  }
  t.equal(stateOf(bob), before)
  t.equal(bob.receive(message), 'second')
})

t.test('a message may skip 1000 others and no more', async t => {
  const [alice, bob] = makeEnds()
  const messages = Array.from({ length: 1003 }, (_, n) => alice.send(`${n}`))
  const at = (n: number): Message =>
    messages[n] ?? { header: { dh: new Uint8Array(32), pn: 0, n: 0 }, sealed: new Uint8Array() }
  t.throws(() => bob.receive(at(1001)), undecryptable)
  t.equal(bob.receive(at(1000)), '1000')
  t.equal(countSkipped(bob.ratchet.skipped), 1000)
  t.equal(bob.receive(at(0)), '0')
  t.equal(bob.receive(at(999)), '999')
  t.equal(countSkipped(bob.ratchet.skipped), 998)
})

t.test('a session keeps 2000 skipped keys and drops the oldest first', async t => {
  const [alice, bob] = makeEnds()
  const messages = Array.from({ length: 2403 }, (_, n) => alice.send(`${n}`))
  const at = (n: number) => messages[n] ?? messages[0] ?? alice.send('')
  for (const n of [800, 1601, 2402]) bob.receive(at(n))
  t.equal(countSkipped(bob.ratchet.skipped), 2000)
  t.throws(() => bob.receive(at(0)), undecryptable, 'the oldest key is deleted')
  t.throws(() => bob.receive(at(399)), undecryptable)
  t.equal(bob.receive(at(400)), '400', 'the next key is kept')
  t.equal(bob.receive(at(2401)), '2401')
})

t.test('skipped keys are deleted after the mailbox lifetime', async t => {
  const [alice, bob] = makeEnds()
  const [early, late] = [alice.send('early'), alice.send('late')]
  bob.receive(alice.send('now'))
  bob.nowMs += lifetimeMs
  t.equal(bob.receive(early), 'early', 'the keys are kept until the end of the lifetime')
  bob.nowMs += 1
  t.throws(() => bob.receive(late), undecryptable)
  bob.receive(alice.send('next'))
  t.equal(countSkipped(bob.ratchet.skipped), 0, 'the next message deletes them')
})

for (const [gap, kept] of [
  [1000, 1000],
  [1001, 0],
] as const) {
  t.test(`after a gap of ${gap} at the end of a chain, ${kept} keys are kept and the session continues`, async t => {
    const [alice, bob] = makeEnds()
    bob.receive(alice.send('first'))
    const [oldest] = Array.from({ length: gap }, (_, n) => alice.send(`${n}`))
    alice.receive(bob.send('turn'))
    const last = alice.send('on the next chain')
    t.equal(last.header.pn, gap + 1)
    t.equal(bob.receive(last), 'on the next chain')
    t.equal(countSkipped(bob.ratchet.skipped), kept)
    const readOldest = () => bob.receive(oldest ?? last)
    if (kept > 0) t.equal(readOldest(), '0')
    else t.throws(readOldest, undecryptable)
  })
}

t.test('outstanding messages of an old chain can arrive after the ratchet has turned', async t => {
  const [alice, bob] = makeEnds()
  bob.receive(alice.send('first'))
  const owed = [alice.send('one'), alice.send('two')]
  alice.receive(bob.send('turn'))
  bob.receive(alice.send('on the next chain'))
  t.equal(countSkipped(bob.ratchet.skipped), 2)
  for (const [index, message] of owed.reverse().entries()) t.equal(bob.receive(message), ['two', 'one'][index])
  t.equal(countSkipped(bob.ratchet.skipped), 0)
})

// Evidence: K9
t.test('no message key encrypts two messages: the state differs after each send', async t => {
  const [alice] = makeEnds()
  const keys = new Set(Array.from({ length: 20 }, () => [...alice.send('same').sealed].join()))
  t.equal(keys.size, 20)
})
