import { CryptoError } from '../errors.ts'
import { cryptoLimits } from '../limits.ts'
import { defaultPolicy, offeredSuites } from '../policy.ts'
import { kemKeyPair, type Random, x25519PublicKey } from '../primitives.ts'
import { encodeBundle, type OneTimeKemKey, type OneTimeKey, signKemKey, signPrekey } from './bundle.ts'
import type { IdentityKeyPair, Self } from './identity.ts'

/** A private X25519 key, 32 bytes. */
export type PrivatePrekey = { readonly id: number; readonly privateKey: Uint8Array }
/** The 64-byte seed of an ML-KEM-768 key pair. */
export type KemPrekey = { readonly id: number; readonly seed: Uint8Array }
/** A signed prekey and the last-resort KEM key that was made and is rotated with it. */
export type PrekeyGeneration = {
  readonly signedPrekey: PrivatePrekey
  readonly lastResortKem: KemPrekey
  readonly createdAtMs: number
  /** null for the one that is published. */
  readonly retiredAtMs: number | null
  /** Sessions accepted without any one-time key: their first message could be played again. */
  readonly replays: readonly Uint8Array[]
}
/** An offer of ours that nobody has answered, with its one-use keys, which no node ever gets. */
export type PendingOffer = {
  readonly offerId: Uint8Array
  /** The address it was sent to; only from there an answer counts. */
  readonly to: string
  readonly expiresAtMs: number
  readonly oneTimeKey: PrivatePrekey
  readonly oneTimeKemKey: KemPrekey
}
/** All private prekeys of an agent. On disk before anything public made from them is uploaded. */
export type Prekeys = {
  /** `seq` of the last bundle. */
  readonly seq: number
  readonly nextId: number
  /** Newest first; never empty. */
  readonly generations: readonly [PrekeyGeneration, ...PrekeyGeneration[]]
  readonly oneTimeKeys: readonly PrivatePrekey[]
  readonly oneTimeKemKeys: readonly KemPrekey[]
  readonly offers: readonly PendingOffer[]
}
/** How many one-time keys the node holds. */
export type KeyCounts = { readonly oneTimeKeys: number; readonly oneTimeKemKeys: number }
/** What `publish_keys` takes of one-time keys. */
export type KeyUpload = {
  readonly oneTimeKeys: readonly OneTimeKey[]
  readonly oneTimeKemKeys: readonly OneTimeKemKey[]
}
type GenerateOptions = { readonly nowMs: number; readonly random: Random }

/** More ids than any copy of a state can be behind. */
const idsLostByRollback = 2 ** 20

/** @throws {CryptoError} `prekeys_exhausted` when all ids were given. */
export function checkIds(nextId: number, count: number): void {
  if (nextId + count - 1 > cryptoLimits.maxKeyId) throw new CryptoError('prekeys_exhausted')
}

function generation(firstId: number, { nowMs, random }: GenerateOptions): PrekeyGeneration {
  checkIds(firstId, 2)
  return {
    signedPrekey: { id: firstId, privateKey: random(32) },
    lastResortKem: { id: firstId + 1, seed: random(64) },
    createdAtMs: nowMs,
    retiredAtMs: null,
    replays: [],
  }
}

/** A first signed prekey and last-resort KEM key; `refillPrekeys` makes the one-time keys. */
export function generatePrekeys(options: GenerateOptions): Prekeys {
  return {
    seq: 0,
    nextId: 3,
    generations: [generation(1, options)],
    oneTimeKeys: [],
    oneTimeKemKeys: [],
    offers: [],
  }
}

/** The bundle of the published generation, under the `seq` given last. */
export function encodeCurrentBundle(
  prekeys: Prekeys,
  { identity, address }: Self,
  nowMs: number,
  policy = defaultPolicy,
): Uint8Array {
  const [{ signedPrekey, lastResortKem }] = prekeys.generations
  const key = x25519PublicKey(signedPrekey.privateKey)
  const kem = kemKeyPair(lastResortKem.seed).publicKey
  return encodeBundle(identity, {
    address,
    identity: identity.publicKey,
    seq: prekeys.seq,
    issuedAtS: Math.floor(nowMs / 1000),
    suites: offeredSuites(policy),
    signedPrekey: { id: signedPrekey.id, key, signature: signPrekey(identity, key) },
    lastResortKem: { id: lastResortKem.id, key: kem, signature: signKemKey(identity, kem) },
  })
}

/**
 * A new bundle to publish. Its `seq` follows the clock where that is ahead, so that a state restored from an older
 * copy does not fall behind what peers have seen.
 */
export function makeBundle(
  prekeys: Prekeys,
  self: Self,
  nowMs: number,
  policy = defaultPolicy,
): { prekeys: Prekeys; bundle: Uint8Array } {
  const next = { ...prekeys, seq: Math.max(prekeys.seq + 1, Math.floor(nowMs / 1000)) }
  return { prekeys: next, bundle: encodeCurrentBundle(next, self, nowMs, policy) }
}

const fill = (held: number, low: number, full: number): number => (held < low ? full - held : 0)

const generate = <Key>(count: number, firstId: number, make: (id: number) => Key): Key[] =>
  Array.from({ length: count }, (_, index) => make(firstId + index))

export function publicOneTimeKey({ id, privateKey }: PrivatePrekey): OneTimeKey {
  return { id, key: x25519PublicKey(privateKey) }
}

export function publicKemKey(identity: IdentityKeyPair, { id, seed }: KemPrekey): OneTimeKemKey {
  const key = kemKeyPair(seed).publicKey
  return { id, key, signature: signKemKey(identity, key) }
}

/**
 * Fills the pools that are below their mark. Save `prekeys` before `upload` goes out; when the answer is lost, the next
 * refill makes new keys, and the old private ones wait until newer ones push them out.
 */
export function refillPrekeys(
  prekeys: Prekeys,
  identity: IdentityKeyPair,
  counts: KeyCounts,
  random: Random,
): { prekeys: Prekeys; upload: KeyUpload } {
  const limits = cryptoLimits
  const count = fill(counts.oneTimeKeys, limits.lowOneTimeKeys, limits.oneTimeKeys)
  const kemCount = fill(counts.oneTimeKemKeys, limits.lowOneTimeKemKeys, limits.oneTimeKemKeys)
  const { nextId } = prekeys
  checkIds(nextId, count + kemCount)
  const made = generate(count, nextId, id => ({ id, privateKey: random(32) }))
  const kemMade = generate(kemCount, nextId + count, id => ({ id, seed: random(64) }))
  return {
    prekeys: {
      ...prekeys,
      nextId: nextId + count + kemCount,
      oneTimeKeys: [...prekeys.oneTimeKeys, ...made].slice(-limits.maxHeldOneTimeKeys),
      oneTimeKemKeys: [...prekeys.oneTimeKemKeys, ...kemMade].slice(-limits.maxHeldOneTimeKemKeys),
    },
    upload: {
      oneTimeKeys: made.map(publicOneTimeKey),
      oneTimeKemKeys: kemMade.map(key => publicKemKey(identity, key)),
    },
  }
}

const isFull = ({ replays }: PrekeyGeneration): boolean => replays.length >= cryptoLimits.maxReplaysPerPair

/** Whether the published generation is 7 days old, or can take no more sessions without one-time keys. */
export function needsRotation({ generations: [current] }: Prekeys, nowMs: number): boolean {
  return nowMs - current.createdAtMs >= cryptoLimits.rotatePrekeysMs || isFull(current)
}

/**
 * Makes a new generation and retires the one before. Private parts go 30 days after that, or 7 days after the last
 * message to them can have left a mailbox; their replay list goes with them. Publish a new bundle afterwards.
 */
export function rotatePrekeys(
  prekeys: Prekeys,
  { mailboxLifetimeMs = cryptoLimits.mailboxLifetimeMs, ...options }: GenerateOptions & { mailboxLifetimeMs?: number },
): Prekeys {
  const keepMs = Math.max(cryptoLimits.keepPrekeysMs, mailboxLifetimeMs + cryptoLimits.keepPrekeysBeyondMailboxMs)
  const [current, ...old] = prekeys.generations
  const kept = old.filter(({ retiredAtMs }) => retiredAtMs === null || options.nowMs - retiredAtMs < keepMs)
  return {
    ...prekeys,
    nextId: prekeys.nextId + 2,
    generations: [generation(prekeys.nextId, options), { ...current, retiredAtMs: options.nowMs }, ...kept],
  }
}

/**
 * After a restore from an older copy (docs/E2E.md section 9): nothing of the old pools is used again, and ids jump
 * ahead of those that the lost state may have given.
 */
export function recoverPrekeys(prekeys: Prekeys, options: GenerateOptions): Prekeys {
  const firstId = prekeys.nextId + idsLostByRollback
  return {
    ...generatePrekeys(options),
    seq: prekeys.seq,
    nextId: firstId + 2,
    generations: [generation(firstId, options)],
  }
}
