import { readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { encodeKemKey, encodeX25519Key } from '../../src/crypto/keys/bundle.ts'
import { identityFromSeed, verifySigned } from '../../src/crypto/keys/identity.ts'
import { safetyNumber } from '../../src/crypto/keys/safety-number.ts'
import { labels } from '../../src/crypto/labels.ts'
import { decodeMessage, encodeRatchetMessage } from '../../src/crypto/messages/message.ts'
import { type Random, toX25519PublicKey } from '../../src/crypto/provider.ts'
import { initiate, respond, sessionId } from '../../src/crypto/session/handshake.ts'
import {
  decryptRatchet,
  encryptRatchet,
  initiatorRatchet,
  keyPair,
  responderRatchet,
} from '../../src/crypto/session/ratchet.ts'
import { concatBytes, toHex } from '../../src/util/bytes.ts'
import { fromHex } from '../../tools/clients/crypto-agents.ts'
import { testEachProvider } from '../fixtures/providers.ts'

type PublicKey = { id: number; pub: string }
type Side = { address: string; identity_seed: string; identity_public: string; ratchet_private: string[] }
type Step = { step: number; who: 'A' | 'B'; what: 'send' | 'receive'; plaintext: string; message: string }
type Case = {
  suite: 1 | 2
  A: Side & { ephemeral_private: string; kem_randomness: string | null }
  B: Side & {
    identity_x25519_public: string
    signed_prekey_private: string
    one_time_prekey_private: string | null
    kem_seed: string | null
  }
  bundle: {
    ik: string
    spk: PublicKey & { sig: string }
    opk: PublicKey | null
    kem: (PublicKey & { sig: string }) | null
  }
  shared_secret: string
  associated_data: string
  session_id: string
  log: Step[]
}

const load = (suite: number): Case[] =>
  JSON.parse(readFileSync(new URL(`../vectors/aim1-suite${suite}.json`, import.meta.url), 'utf8'))

/** Returns the listed keys in order, and fails if a step needs more. */
function listed(keys: readonly string[]): Random {
  const left = keys.map(fromHex)
  return () => {
    const key = left.shift()
    if (!key) throw new Error('the vector has no more ratchet keys')
    return key
  }
}

const selfOf = (side: Side) => ({ identity: identityFromSeed(fromHex(side.identity_seed)), address: side.address })
const optional = (hex: string | null) => (hex === null ? undefined : fromHex(hex))

function agree(t: Test, vector: Case) {
  const { A, B, bundle } = vector
  const publicKey = ({ id, pub }: PublicKey) => ({ id, key: fromHex(pub) })
  const alice = initiate(
    selfOf(A),
    {
      identity: fromHex(bundle.ik),
      address: B.address,
      signedPrekey: publicKey(bundle.spk),
      oneTimeKey: bundle.opk ? publicKey(bundle.opk) : undefined,
      kem: bundle.kem ? publicKey(bundle.kem) : undefined,
    },
    fromHex(A.ephemeral_private),
    optional(A.kem_randomness) ?? new Uint8Array(32),
  )
  const first = decodeMessage(fromHex(vector.log[0]?.message ?? ''))
  if (first.type !== 'prekey') throw new Error('the first message is of type 02')
  t.equal(toHex(sessionId(fromHex(bundle.ik), first.headerBytes)), vector.session_id, 'the sid comes from the header')
  const bob = respond(selfOf(B), A.address, first.header, first.inner.sid, {
    signedPrekey: fromHex(B.signed_prekey_private),
    oneTimeKey: optional(B.one_time_prekey_private),
    kemSeed: optional(B.kem_seed),
  })
  for (const [name, side] of Object.entries({ alice, bob })) {
    t.equal(toHex(side.sharedSecret), vector.shared_secret, `${name} has SK`)
    t.equal(toHex(side.associatedData), vector.associated_data, `${name} has AD`)
    t.equal(toHex(side.sid), vector.session_id, `${name} has the sid`)
  }
  t.equal(toHex(alice.prekeyHeader), toHex(first.headerBytes), 'alice makes the prekey header')
  return { alice, bob }
}

function replay(t: Test, vector: Case): void {
  const { alice, bob } = agree(t, vector)
  const { A, B, log } = vector
  const random = { A: listed(A.ratchet_private), B: listed(B.ratchet_private) }
  const ratchets = {
    A: initiatorRatchet(alice.sharedSecret, fromHex(vector.bundle.spk.pub), random.A),
    B: responderRatchet(bob.sharedSecret, keyPair(fromHex(B.signed_prekey_private))),
  }
  let answered = false
  for (const { step, who, what, plaintext, message } of log) {
    if (what === 'send') {
      const sent = encryptRatchet(ratchets[who], alice.associatedData, fromHex(plaintext))
      ratchets[who] = sent.ratchet
      const body = encodeRatchetMessage(alice.sid, sent.header, sent.sealed)
      const carriesHandshake: boolean = who === 'A' && !answered
      t.equal(
        toHex(carriesHandshake ? concatBytes(alice.prekeyHeader, body) : body),
        message,
        `step ${step}: ${who} sends`,
      )
      continue
    }
    const decoded = decodeMessage(fromHex(message))
    const inner = decoded.type === 'prekey' ? decoded.inner : decoded
    if (inner.type !== 'ratchet') throw new Error('conversations are of types 01 and 02')
    const circumstances = { nowMs: step, random: random[who], lifetimeMs: 1000 }
    const read = decryptRatchet(ratchets[who], { ...inner, associatedData: bob.associatedData }, circumstances)
    ratchets[who] = read.ratchet
    if (who === 'A') answered = true
    t.equal(toHex(read.plaintext), plaintext, `step ${step}: ${who} receives`)
  }
}

testEachProvider(t, t => {
  for (const suite of [1, 2]) {
    for (const [index, vector] of load(suite).entries()) {
      // Evidence: K1
      t.test(`conversation ${index} of suite ${suite} is reproduced byte for byte`, async t => {
        replay(t, vector)
      })
      t.test(
        `the keys of conversation ${index} of suite ${suite} are what their signatures and conversions say`,
        async t => {
          const { B, bundle } = vector
          const bob = selfOf(B).identity
          t.equal(toHex(bob.publicKey), B.identity_public)
          t.equal(toHex(toX25519PublicKey(bob.publicKey)), B.identity_x25519_public)
          const signed = [
            [encodeX25519Key(fromHex(bundle.spk.pub)), bundle.spk.sig] as const,
            ...(bundle.kem ? [[encodeKemKey(fromHex(bundle.kem.pub)), bundle.kem.sig] as const] : []),
          ]
          for (const [key, signature] of signed) {
            t.ok(verifySigned(bob.publicKey, labels.prekey, key, fromHex(signature)))
            t.notOk(verifySigned(bob.publicKey, labels.bundle, key, fromHex(signature)), 'and under no other label')
          }
        },
      )
    }
  }

  t.test('the safety number of the vector is the same from both sides', async t => {
    const [vector] = load(1)
    if (!vector) throw new Error('no vector')
    const [alice, bob] = [vector.A, vector.B].map(side => ({
      identity: selfOf(side).identity.publicKey,
      address: side.address,
    }))
    if (!alice || !bob) throw new Error('no sides')
    const number = '147450295536271414595881314074240324888952841942729402085326'
    t.equal(safetyNumber(alice, bob), number)
    t.equal(safetyNumber(bob, alice), number)
  })
})
