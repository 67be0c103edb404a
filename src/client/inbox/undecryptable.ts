import { type CryptoError, IdentityChangedError } from '../../crypto/errors.ts'
import { decodeMessage } from '../../crypto/messages/message.ts'
import { identityOf, markChanged } from '../../crypto/session/peer.ts'
import type { Username } from '../../protocol/names.ts'
import { decodeBase64Url, encodeBase64Url } from '../../util/bytes.ts'
import { UnreadablePeerError } from '../base/errors.ts'
import type { Remedy } from '../base/events.ts'
import { type ClientContext, readPeer } from '../connection/client-context.ts'
import { nextOrder, savePeer } from '../records/crypto-records.ts'
import { keys, nameIn } from '../records/keys.ts'
import { UndecryptableRecord } from '../records/undecryptable-record.ts'
import { requestReset } from '../sessions/pending-reset.ts'
import { enterQuarantine, type QuarantineEntry } from '../shares/quarantine-index.ts'
import type { StateReader, StateTransaction } from '../state/state-store.ts'
import { type Effect, event } from './effects.ts'
import type { Envelope } from './envelope.ts'

type Reason = CryptoError | UnreadablePeerError

/** The code of a body that came under a key that the user has rejected since. */
const rejectedCode = 'rejected'

/** The number of other keys of one peer that a user can choose from: each costs two safety numbers. */
const maxOtherKeys = 8

const remedies: Partial<Record<Reason['code'], Remedy>> = {
  undecryptable: 'reset',
  malformed: 'reset',
  prekeys_exhausted: 'reset',
  // The session is older than the better suite that both sides have now: after a reset the peer resends on that suite.
  suite_refused: 'reset',
  rate_limited: 'retry',
  identity_changed: 'retry',
  // The user decides about the damaged record of the peer.
  peer_unreadable: 'retry',
}

const remedyFor = (code: string): Remedy => Object.entries(remedies).find(([known]) => known === code)?.[1] ?? 'none'

/** The place of a body that was quarantined before, for another reason: bodies keep their order. */
type Place = { order?: number | undefined; at?: number }

/**
 * Keeps and reports a body that cannot be decrypted, and records in the state what may help. No body is lost silently.
 */
export async function quarantine(
  tx: StateTransaction,
  context: ClientContext,
  envelope: Envelope,
  error: Reason,
  place: Place = {},
): Promise<Effect[]> {
  const { from, hash, frameType, body } = envelope
  const key = keys.undecryptable(from, hash)
  if (await tx.get(key)) return []
  const { code, message } = error
  const order = place.order ?? (await nextOrder(tx))
  const claimed = keyOf(body)
  const record = { frameType, body: encodeBase64Url(body), code, at: place.at ?? context.now(), order }
  const enter = (remedy: Remedy) => makeRoom(tx, context, { key, remedy, order })
  if (error instanceof UnreadablePeerError) {
    tx.put(key, UndecryptableRecord.encode({ ...record, ...underKey(claimed) }))
    const evicted = await enter(remedyFor(code))
    return [...evicted, event('undecryptable', { from, aside: hash, reason: message, remedy: remedyFor(code) })]
  }
  const peer = await context.loadPeer(tx, from)
  const identity = error instanceof IdentityChangedError ? error.seen : (claimed ?? identityOf(peer))
  tx.put(key, UndecryptableRecord.encode({ ...record, ...underKey(identity) }))
  const remedy = peer.trust === 'unknown' ? await remedyForUnknownPeer(tx, envelope, code) : remedyFor(code)
  const reported = [...(await enter(remedy)), event('undecryptable', { from, aside: hash, reason: message, remedy })]
  if (error instanceof IdentityChangedError) {
    savePeer(tx, from, markChanged(peer, error.seen))
    return [...reported, event('key-changed', { peer: from })]
  }
  if (remedy === 'reset' && peer.trust !== 'unknown') await requestReset(tx, from, 'undecryptable')
  const rotate: Effect[] = code === 'prekeys_exhausted' ? [{ kind: 'rotate' }] : []
  return remedy === 'none' ? reported : [...reported, { kind: 'repair' }, ...rotate]
}

/** Bounds the quarantine. A body that loses its place and could have been decrypted later is asked for again. */
async function makeRoom(tx: StateTransaction, context: ClientContext, entry: QuarantineEntry): Promise<Effect[]> {
  const effects: Effect[] = []
  for (const { key, remedy } of await enterQuarantine(tx, { nowMs: context.now(), list: listQuarantine }, entry)) {
    const from = nameIn(key)
    if (remedy === 'retry') await requestReset(tx, from, 'undecryptable')
    const aside = key.slice(keys.undecryptableOf(from).length)
    effects.push(event('evicted', { from, aside, remedy: remedy === 'none' ? 'none' : 'reset' }))
  }
  return effects.length > 0 ? [...effects, { kind: 'repair' }] : []
}

async function listQuarantine(tx: StateReader): Promise<QuarantineEntry[]> {
  return (await tx.list(keys.undecryptables())).map(([key, bytes]) => {
    const record = UndecryptableRecord.decode(bytes)
    return { key, remedy: remedyFor(record.code), order: orderOf(record) }
  })
}

/**
 * A first message may name a one-time key that is gone, and a message may belong to a session that is gone: this state
 * or a Redis was restored from an older copy. Neither is the fault of its sender, which thinks that it was received.
 */
function mayReset({ body }: Envelope, code: string): boolean {
  if (code !== 'undecryptable' && code !== 'prekeys_exhausted') return false
  const { type } = decodeMessage(body)
  return type === 'prekey' || type === 'ratchet'
}

async function remedyForUnknownPeer(tx: StateTransaction, envelope: Envelope, code: string): Promise<Remedy> {
  if (!mayReset(envelope, code)) return 'none'
  return (await requestReset(tx, envelope.from, 'undecryptable', { isStranger: true })) ? 'reset' : 'none'
}

const orderOf = ({ order = 0 }: UndecryptableRecord): number => order

type Quarantined = { key: string; hash: string; record: UndecryptableRecord }

/**
 * Returns the quarantined bodies of a peer that may be decrypted later without a reset, in order. A body of another key
 * than the pinned one waits for the user's decision about that key.
 */
export async function retriable(tx: StateReader, context: ClientContext, from: Username): Promise<Quarantined[]> {
  const peer = await readPeer(tx, context, from)
  const pinned = peer && identityOf(peer)
  const isPinned = (identity: string | undefined) => !pinned || !identity || identity === encodeBase64Url(pinned)
  const mayPass = (record: UndecryptableRecord) =>
    isOfOtherKey(record) ? isPinned(claimedKey(record)) : remedyFor(record.code) === 'retry'
  const all = await quarantinedOf(tx, from)
  return all.filter(({ record }) => mayPass(record)).sort((a, b) => orderOf(a.record) - orderOf(b.record))
}

const isOfOtherKey = ({ code }: UndecryptableRecord): boolean => code === 'identity_changed' || code === rejectedCode

/** The user has pinned another key than `identity`: bodies that wait for a limit under it are not tried again. */
export async function rejectQuarantined(tx: StateTransaction, from: Username, identity: string): Promise<void> {
  for (const { key, record } of await quarantinedOf(tx, from)) {
    if (record.code !== 'rate_limited' || claimedKey(record) !== identity) continue
    tx.put(key, UndecryptableRecord.encode({ ...record, code: rejectedCode, identity }))
  }
}

async function quarantinedOf(tx: StateReader, from: Username): Promise<Quarantined[]> {
  const prefix = keys.undecryptableOf(from)
  const entries = await tx.list(prefix)
  return entries.map(([key, bytes]) => ({
    key,
    hash: key.slice(prefix.length),
    record: UndecryptableRecord.decode(bytes),
  }))
}

/**
 * Returns the keys that other agents or the node have shown under a peer's name instead of the pinned one, newest
 * first: each has decrypted a first message that is quarantined. Records of older releases do not count, because those
 * releases did not check that.
 */
export async function otherKeys(tx: StateReader, from: Username): Promise<string[]> {
  const bodies = (await quarantinedOf(tx, from)).filter(({ record }) => record.code === 'identity_changed')
  const newestFirst = bodies.sort((a, b) => orderOf(b.record) - orderOf(a.record))
  return [...new Set(newestFirst.flatMap(({ record }) => record.identity ?? []))].slice(0, maxOtherKeys)
}

/** Returns the sender and the key of each quarantined body that came under another key than the pinned one. */
export async function undecidedBodies(tx: StateReader): Promise<{ from: Username; identity: string | undefined }[]> {
  return (await tx.list(keys.undecryptables())).flatMap(([key, bytes]) => {
    const record = UndecryptableRecord.decode(bytes)
    return isOfOtherKey(record) ? [{ from: nameIn(key), identity: claimedKey(record) }] : []
  })
}

/** Returns the key that a body came under. A record of an older release does not have it, but the body may. */
function claimedKey({ identity, body }: UndecryptableRecord): string | undefined {
  if (identity !== undefined) return identity
  const claimed = keyOf(decodeBase64Url(body))
  return claimed && encodeBase64Url(claimed)
}

const underKey = (identity: Uint8Array | undefined) => (identity ? { identity: encodeBase64Url(identity) } : {})

/** Returns the identity key that a first message names; undefined for every other body. */
function keyOf(body: Uint8Array): Uint8Array | undefined {
  try {
    const message = decodeMessage(body)
    return message.type === 'prekey' ? message.header.identity : undefined
  } catch {
    return undefined
  }
}
