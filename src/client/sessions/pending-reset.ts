import type { Static } from 'typebox'
import * as Type from 'typebox'
import { cryptoLimits } from '../../crypto/limits.ts'
import { isWithin, type Peer, resetAllowed } from '../../crypto/session/peer.ts'
import type { Username } from '../../protocol/names.ts'
import { decodeBase64Url, encodeUtf8, equalBytes } from '../../util/bytes.ts'
import { decodeInteger } from '../records/integer-record.ts'
import { keys } from '../records/keys.ts'
import { recordCodec } from '../state/record-codec.ts'
import type { StateReader, StateTransaction } from '../state/state-store.ts'
import { unreadableSessions } from './unreadable-sessions.ts'

/** Why a peer must get a reset: one of its messages could not be decrypted, or this state was an older copy. */
type PendingReset = 'undecryptable' | 'rollback'

/** Peers of unknown trust that may wait for a reset: anyone can cause one. */
const maxPendingStrangers = 500
/**
 * Resets per hour for peers of unknown trust, all together: each costs a bundle and a handshake. In the hour after a
 * restore every peer that was met after the backup needs one.
 */
const maxStrangerResets = 10
const maxStrangerResetsAfterRestore = 100
/** Resets per hour for one peer in the hour after a restore: the peer may have been restored, too. */
const maxResetsAfterRestore = 5

const Times = Type.Array(Type.Integer())
/** The times of the last hour's resets to peers that were of unknown trust. */
export const StrangerResetsRecord = recordCodec('strangers', Type.Object({ metAt: Times }))
/** The times of the last hour's resets to one peer, and the sids that the last one named, base64url. */
export const SentResetsRecord = recordCodec('resets', Type.Object({ at: Times, named: Type.Array(Type.String()) }))
type SentResets = Static<typeof SentResetsRecord.schema>

/**
 * Records that a peer must get a reset, in the transaction that found the cause. This process or a later one sends the
 * reset as soon as it is allowed.
 * @returns false if too many peers of unknown trust wait already; nothing is recorded then
 */
export async function requestReset(
  tx: StateTransaction,
  peer: Username,
  reason: PendingReset,
  { isStranger = false } = {},
): Promise<boolean> {
  const known = await pendingReset(tx, peer)
  if (known === undefined && isStranger) {
    const waiting = await tx.list(keys.pendingResets(), { limit: maxPendingStrangers })
    if (waiting.length === maxPendingStrangers) return false
  }
  if (known !== 'rollback') tx.put(keys.pendingReset(peer), encodeUtf8(reason))
  return true
}

async function pendingReset(tx: StateReader, peer: Username): Promise<PendingReset | undefined> {
  const bytes = await tx.get(keys.pendingReset(peer))
  // A damaged reason is no UTF-8.
  return bytes && (equalBytes(bytes, encodeUtf8('rollback')) ? 'rollback' : 'undecryptable')
}

type Known = { peer: Peer; nowMs: number }

/**
 * Returns the pending reset of a peer if it may be sent now: docs/E2E.md section 7, rule 6, allows one reset an hour.
 * In the hour after a restore it allows more if the peer has started a further session that cannot be read: a session
 * that existed before ends with the first reset.
 */
export async function allowedReset(
  tx: StateReader,
  name: Username,
  { peer, nowMs }: Known,
): Promise<PendingReset | undefined> {
  const pending = await pendingReset(tx, name)
  if (!pending) return undefined
  const isAllowed =
    peer.trust === 'unknown'
      ? await strangerResetAllowed(tx, nowMs)
      : resetAllowed(peer, nowMs) || (peer.trust !== 'changed' && (await resetAllowedAfterRestore(tx, name, nowMs)))
  return isAllowed ? pending : undefined
}

/** Records a reset that is being sent. @param peer as it was before @returns the names that the reset contains */
export async function noteSentReset(
  tx: StateTransaction,
  name: Username,
  { peer, nowMs }: Known,
): Promise<Uint8Array[]> {
  tx.delete(keys.pendingReset(name))
  if (peer.trust === 'unknown') {
    tx.put(keys.strangerResets(), StrangerResetsRecord.encode({ metAt: [...(await strangerResets(tx, nowMs)), nowMs] }))
  }
  const unreadable = await unreadableSessions(tx, name, nowMs)
  const { at } = await sentResets(tx, name, nowMs)
  const named = unreadable.sids
  tx.put(keys.sentResets(name), SentResetsRecord.encode({ at: [...at, nowMs], named }))
  // A body of which the session is not known may be any message: without names the peer sends all again.
  if (unreadable.hasUnnamed) return []
  return named.map(decodeBase64Url)
}

const restoredLately = async (tx: StateReader, nowMs: number): Promise<boolean> => {
  const bytes = await tx.get(keys.restored())
  return bytes !== undefined && isWithin(cryptoLimits.hourMs, decodeInteger(bytes), nowMs)
}

async function strangerResets(tx: StateReader, nowMs: number): Promise<number[]> {
  const bytes = await tx.get(keys.strangerResets())
  return lately(bytes ? StrangerResetsRecord.decode(bytes).metAt : [], nowMs)
}

async function strangerResetAllowed(tx: StateReader, nowMs: number): Promise<boolean> {
  const most = (await restoredLately(tx, nowMs)) ? maxStrangerResetsAfterRestore : maxStrangerResets
  return (await strangerResets(tx, nowMs)).length < most
}

async function sentResets(tx: StateReader, name: Username, nowMs: number): Promise<SentResets> {
  const bytes = await tx.get(keys.sentResets(name))
  const { at, named } = bytes ? SentResetsRecord.decode(bytes) : { at: [], named: [] }
  return { at: lately(at, nowMs), named }
}

async function resetAllowedAfterRestore(tx: StateReader, name: Username, nowMs: number): Promise<boolean> {
  if (!(await restoredLately(tx, nowMs))) return false
  const { at, named } = await sentResets(tx, name, nowMs)
  if (at.length >= maxResetsAfterRestore) return false
  const { opened } = await unreadableSessions(tx, name, nowMs)
  return opened.some(sid => !named.includes(sid))
}

const lately = (times: readonly number[], nowMs: number): number[] =>
  times.filter(at => isWithin(cryptoLimits.hourMs, at, nowMs))
