import type { Prekeys } from '../../crypto/keys/prekeys.ts'
import { decodePrekeys, encodePrekeys } from '../../crypto/keys/prekeys-codec.ts'
import { newPeer, type Peer } from '../../crypto/session/peer.ts'
import { decodePeer, encodePeer } from '../../crypto/session/peer-codec.ts'
import { formatAddress, type Username } from '../../protocol/names.ts'
import { NotRegisteredError, UnreadablePeerError } from '../base/errors.ts'
import { StateError, UnreadableRecordError } from '../state/state-error.ts'
import type { StateReader, StateTransaction } from '../state/state-store.ts'
import { keys } from './keys.ts'

/** Functions that read and write the cryptographic records, inside the caller's transaction. */

/**
 * Returns a new, unknown peer if the state has no record of it.
 * @throws {UnreadablePeerError} if the record was damaged. Without it the client would pin any key for the peer.
 */
export async function loadPeer(tx: StateReader, peer: Username, domain: string): Promise<Peer> {
  const address = formatAddress(peer, domain)
  const bytes = await tx.get(keys.peer(peer))
  if (bytes) return decodeStoredPeer(bytes, address)
  if (await tx.get(keys.damaged(keys.peer(peer)))) throw new UnreadablePeerError(peer)
  return newPeer(address)
}

/** @throws {UnreadableRecordError} if the record is damaged, or belongs to another address than `address` */
export function decodeStoredPeer(bytes: Uint8Array, address?: string): Peer {
  try {
    const peer = decodePeer(bytes)
    if (address === undefined || peer.address === address) return peer
  } catch {
    // Falls through to the error below.
  }
  throw new UnreadableRecordError('unreadable', 'the peer record cannot be read', { bytes })
}

export const savePeer = (tx: StateTransaction, name: Username, peer: Peer): void =>
  tx.put(keys.peer(name), encodePeer(peer))

/** @throws {NotRegisteredError} if no registration has created prekeys yet. */
export async function loadPrekeys(tx: StateReader): Promise<Prekeys> {
  const bytes = await tx.get(keys.prekeys())
  if (!bytes) throw new NotRegisteredError()
  try {
    return decodePrekeys(bytes)
  } catch (cause) {
    throw damagedState('prekeys', cause)
  }
}

const damagedState = (record: string, cause?: unknown): StateError =>
  new StateError('unreadable', `the record ${record} is damaged; restore the state from a backup`, { cause })

export const savePrekeys = (tx: StateTransaction, prekeys: Prekeys): void =>
  tx.put(keys.prekeys(), encodePrekeys(prekeys))

/** Returns the number of steps that this state has made: messages sent, received and encrypted, in all processes. */
export async function lastOrder(tx: StateReader): Promise<number> {
  const bytes = await tx.get(keys.order())
  if (!bytes) return 0
  if (bytes.length !== 8) throw damagedState('order')
  return Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0))
}

/**
 * Takes the next order number. It is higher than all that this state has given, so numbers follow the order of commits.
 */
export async function nextOrder(tx: StateTransaction): Promise<number> {
  const next = (await lastOrder(tx)) + 1
  setOrder(tx, next)
  return next
}

export function setOrder(tx: StateTransaction, order: number): void {
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(order))
  tx.put(keys.order(), bytes)
}
