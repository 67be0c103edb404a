import { hasElapsed } from '../../util/elapsed.ts'
import { CryptoError } from '../errors.ts'
import { cryptoLimits } from '../limits.ts'
import { defaultPolicy, offeredSuites } from '../policy.ts'
import { kemKeyPair, type Random, x25519PublicKey } from '../provider.ts'
import { encodeBundle, type OneTimeKemKey, type OneTimeKey, signKemKey, signPrekey } from './bundle.ts'
import type { IdentityKeyPair, Self } from './identity.ts'

/** A private X25519 key, 32 bytes. */
export type PrivatePrekey = { readonly id: number; readonly privateKey: Uint8Array }
/** The 64-byte seed of an ML-KEM-768 key pair. */
export type KemPrekey = { readonly id: number; readonly seed: Uint8Array }
/** A signed prekey and the last-resort KEM key that is made and rotated together with it. */
export type PrekeyGeneration = {
  readonly signedPrekey: PrivatePrekey
  readonly lastResortKem: KemPrekey
  readonly createdAtMs: number
  /** null for the published generation. */
  readonly retiredAtMs: number | null
  /** Ids of sessions accepted without a one-time key: their first message could be replayed. */
  readonly replays: readonly Uint8Array[]
}
/** One of our own unanswered offers, with its one-use keys, which are never uploaded. */
export type PendingOffer = {
  readonly offerId: Uint8Array
  /** The recipient's address; an answer from any other address is refused. */
  readonly to: string
  readonly expiresAtMs: number
  readonly oneTimeKey: PrivatePrekey
  readonly oneTimeKemKey: KemPrekey
}
/** All private prekeys of an agent. Save them before uploading any of the public keys. */
export type Prekeys = {
  /** The `seq` of the newest bundle. */
  readonly seq: number
  readonly nextId: number
  /** Newest first; never empty. */
  readonly generations: readonly [PrekeyGeneration, ...PrekeyGeneration[]]
  readonly oneTimeKeys: readonly PrivatePrekey[]
  readonly oneTimeKemKeys: readonly KemPrekey[]
  readonly offers: readonly PendingOffer[]
}
/** The number of one-time keys that the node holds. */
export type KeyCounts = { readonly oneTimeKeys: number; readonly oneTimeKemKeys: number }
/** The one-time keys of a `publish_keys` frame. */
export type KeyUpload = {
  readonly oneTimeKeys: readonly OneTimeKey[]
  readonly oneTimeKemKeys: readonly OneTimeKemKey[]
}
type GenerateOptions = { readonly nowMs: number; readonly random: Random }

/** Exceeds the number of ids that any older copy of the state can be behind. A power of two. */
const idsLostByRollback = 2 ** 20

/** @throws {CryptoError} `prekeys_exhausted` if fewer than `count` ids are left. */
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

/** Makes the first signed prekey and last-resort KEM key. `refillPrekeys` makes the one-time keys. */
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

/** Encodes the bundle of the published generation with the current `seq`. */
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
 * Makes a new bundle to publish. Its `seq` is the time in seconds or the previous `seq` + 1, whichever is higher, so
 * that a state restored from an older copy does not fall behind the `seq` that peers have seen.
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
 * Refills the pools that are below their refill mark. Save `prekeys` before sending `upload`. If the answer is lost,
 * the next refill makes new keys; the old private keys stay until newer ones displace them.
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

/** Returns true if the published generation is 7 days old or from the future, or its replay list is full. */
export function needsRotation({ generations: [current] }: Prekeys, nowMs: number): boolean {
  return hasElapsed(cryptoLimits.rotatePrekeysMs, current.createdAtMs, nowMs) || isFull(current)
}

/**
 * Makes a new generation and retires the previous one. A retired generation is deleted with its replay list after
 * 30 days, or after the mailbox lifetime plus 7 days if that is longer. Publish a new bundle afterwards.
 */
export function rotatePrekeys(
  prekeys: Prekeys,
  { mailboxLifetimeMs = cryptoLimits.mailboxLifetimeMs, ...options }: GenerateOptions & { mailboxLifetimeMs?: number },
): Prekeys {
  const keepMs = Math.max(cryptoLimits.keepPrekeysMs, mailboxLifetimeMs + cryptoLimits.keepPrekeysBeyondMailboxMs)
  const [current, ...old] = prekeys.generations
  // A time in the future counts from now: the clock was set back.
  const kept = old
    .map(each => ({
      ...each,
      retiredAtMs: each.retiredAtMs === null ? null : Math.min(each.retiredAtMs, options.nowMs),
    }))
    .filter(({ retiredAtMs }) => retiredAtMs === null || options.nowMs - retiredAtMs < keepMs)
  return {
    ...prekeys,
    nextId: prekeys.nextId + 2,
    generations: [generation(prekeys.nextId, options), { ...current, retiredAtMs: options.nowMs }, ...kept],
  }
}

/**
 * Replaces all prekeys after a restore from an older copy (docs/E2E.md section 9). No key of the old pools is used
 * again, and new ids start above every id that the lost state may have used. The start is random, so that two copies of
 * one state do not give different keys the same id.
 */
export function recoverPrekeys(prekeys: Prekeys, options: GenerateOptions): Prekeys {
  const [high = 0, middle = 0, low = 0] = options.random(3)
  const firstId = prekeys.nextId + idsLostByRollback + (((high << 16) | (middle << 8) | low) % idsLostByRollback)
  return {
    ...generatePrekeys(options),
    seq: prekeys.seq,
    nextId: firstId + 2,
    generations: [generation(firstId, options)],
  }
}
