import type { IdentityKey } from '../../crypto/identity-key.ts'
import { trustedIdentityKey } from '../../crypto/keys/identity.ts'
import { safetyNumber } from '../../crypto/keys/safety-number.ts'
import {
  dismissChange,
  markChanged,
  markVerified,
  type Peer,
  type Trust,
  trustPeer,
} from '../../crypto/session/peer.ts'
import { type Address, formatAddress, type Username } from '../../protocol/names.ts'
import { decodeBase64Url, encodeBase64Url } from '../../util/bytes.ts'
import {
  DroppedError,
  NotComparedError,
  UnconfirmedMessagesError,
  UnknownKeyError,
  UnknownPeerError,
} from '../base/errors.ts'
import { type ClientContext, readPeer } from '../connection/client-context.ts'
import { otherKeys } from '../inbox/undecryptable.ts'
import { type Moved, moveToEnd, type SortedRecords, sortByKey } from '../inbox/withheld.ts'
import { dropUnconfirmed, requeue, requeueForNewKey, unconfirmedTo } from '../outbox/outbox-queue.ts'
import { markContact } from '../records/contacts.ts'
import { savePeer } from '../records/crypto-records.ts'
import { keys } from '../records/keys.ts'
import { requestReset } from '../sessions/pending-reset.ts'
import type { StateReader, StateTransaction } from '../state/state-store.ts'

type Key = { identity: string; safetyNumber: string }

/** What this agent knows about the identity of another agent. */
export type PeerIdentity = {
  address: Address
  trust: Exclude<Trust, 'unknown'>
  /** The pinned identity key, base64url. Two agents can compare their keys in full. */
  identity: string
  /** 60 digits, the same on both sides, for two people to compare. */
  safetyNumber: string
  /** Another key that was seen instead of the pinned one, and its safety number. */
  seen?: Key
  /** With `seen`: the number of messages to the peer without a receipt, which were written for the pinned key. */
  unconfirmed?: number
}

export type DecisionOptions = {
  /**
   * What becomes of messages to the peer that have no receipt, if another key is pinned: `send` encrypts them to the
   * new key, `drop` gives them up.
   */
  unconfirmed?: 'send' | 'drop' | undefined
}

/** What a decision about a peer's key did. All numbers are 0 if the pinned key stays. */
export type KeyDecision = {
  /** The messages that are sent to the new key, and those that were given up. */
  resent: number
  dropped: number
  /** The unread messages that came under another key and are not shown any more. */
  withheld: number
  /** The messages under the accepted key that had been withheld and are shown again. */
  restored: number
}

/**
 * A decision, with what the rest of the client must know of it.
 * @internal
 */
export type AppliedDecision = { decision: KeyDecision; sorted: SortedRecords; dropped: string[]; error: Error }

/** How often `#decide` starts again because the state changed meanwhile. */
const maxAttempts = 3

/**
 * The identity keys of peers, and the decisions about them: docs/E2E.md sections 7 and 11.
 * @internal
 */
export class Peers {
  readonly #context: ClientContext

  constructor(context: ClientContext) {
    this.#context = context
  }

  /** @throws {UnknownPeerError} before the first message in either direction. */
  async identity(username: Username): Promise<PeerIdentity> {
    const { peer, unconfirmed } = await this.#context.store.read(async tx => ({
      peer: await this.#load(tx, username),
      unconfirmed: await unconfirmedTo(tx, username),
    }))
    return {
      address: formatAddress(username, this.#context.self().domain),
      trust: peer.trust,
      ...this.#keyOf(peer, peer.identity),
      ...(peer.trust === 'changed' && { seen: this.#keyOf(peer, peer.seen), unconfirmed: unconfirmed.length }),
    }
  }

  /**
   * Records that the user has compared a key with the peer's side: the pinned key, or another key that was used under
   * the peer's name, which is then pinned. The bytes that are compared are the bytes that are pinned.
   * @param shown the safety number (60 digits, spaces allowed) or the full identity key (base64url), as the peer's own
   *   side shows it
   * @throws {NotComparedError} if it belongs to none of these keys. Nothing changes.
   */
  verify(username: Username, shown: string, { unconfirmed = 'send' }: DecisionOptions): Promise<AppliedDecision> {
    return this.#decide(username, shown, new NotComparedError(username), async (tx, peer, key) => {
      const { pinned, applied } = await this.#pin(tx, username, peer, { key, unconfirmed })
      savePeer(tx, username, markVerified(pinned, key))
      await markContact(tx, username)
      return applied
    })
  }

  /**
   * Accepts the key that `shown` belongs to without a comparison. Sessions with another key are dropped.
   * @param shown as for `verify`
   * @throws {UnknownKeyError} if no key of the peer fits. {UnconfirmedMessagesError} Nothing changes.
   */
  trust(username: Username, shown: string, { unconfirmed }: DecisionOptions): Promise<AppliedDecision> {
    return this.#decide(username, shown, new UnknownKeyError(username), async (tx, peer, key) => {
      const { pinned, applied } = await this.#pin(tx, username, peer, { key, unconfirmed })
      savePeer(tx, username, pinned)
      return applied
    })
  }

  /**
   * Forgets a peer whose record is damaged. Returns its messages that are shown again; undefined for any other peer.
   */
  repair(username: Username): Promise<Moved[] | undefined> {
    return this.#context.store.transaction(async tx => {
      if (await readPeer(tx, this.#context, username)) return undefined
      tx.delete(keys.damaged(keys.peer(username)))
      await requeue(tx, username)
      await requestReset(tx, username, 'undecryptable')
      return moveToEnd(tx, username)
    })
  }

  /**
   * Keeps the pinned key: messages under another key are refused as before. Returns the messages that are shown again.
   */
  dismiss(username: Username): Promise<Moved[]> {
    return this.#context.store.transaction(async tx => {
      const peer = await this.#load(tx, username)
      savePeer(tx, username, dismissChange(peer))
      return peer.trust === 'changed' ? moveToEnd(tx, username) : []
    })
  }

  /**
   * Finds the key that `shown` belongs to, outside of a transaction because numbers take long, and passes it to `apply`
   * in a transaction if it still is a key of the peer there.
   * @throws `otherwise` if no key fits
   */
  async #decide(
    username: Username,
    shown: string,
    otherwise: Error,
    apply: (tx: StateTransaction, peer: KnownPeer, key: IdentityKey) => Promise<AppliedDecision>,
  ): Promise<AppliedDecision> {
    const { store } = this.#context
    const text = String(shown).replaceAll(/\s/g, '')
    for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
      const { peer, choices } = await store.read(async tx => this.#choices(tx, username))
      const isShown = (one: string) => one === text || this.#keyOf(peer, keyFrom(one)).safetyNumber === text
      const chosen = choices.find(isShown)
      if (chosen === undefined) break
      const applied = await store.transaction(async tx => {
        const now = await this.#choices(tx, username)
        return now.choices.includes(chosen) ? apply(tx, now.peer, keyFrom(chosen)) : undefined
      })
      if (applied) return applied
    }
    throw otherwise
  }

  /** Returns the keys that the user can choose from, base64url: the pinned one, and those that were seen instead. */
  async #choices(tx: StateReader, username: Username): Promise<{ peer: KnownPeer; choices: string[] }> {
    const peer = await this.#load(tx, username)
    const seen = peer.trust === 'changed' ? [encodeBase64Url(peer.seen)] : []
    return {
      peer,
      choices: [...new Set([encodeBase64Url(peer.identity), ...seen, ...(await otherKeys(tx, username))])],
    }
  }

  /** Returns the peer with `key` pinned, and does in the state what follows from it. */
  async #pin(
    tx: StateTransaction,
    username: Username,
    peer: KnownPeer,
    { key, unconfirmed }: { key: IdentityKey } & DecisionOptions,
  ): Promise<{ pinned: Peer; applied: AppliedDecision }> {
    const error = new DroppedError(username)
    const identity = encodeBase64Url(key)
    if (encodeBase64Url(peer.identity) === identity) {
      const moved = peer.trust === 'changed' ? await moveToEnd(tx, username) : []
      const sorted = { ...unsorted, moved }
      return { pinned: dismissChange(peer), applied: { decision: nothing, sorted, dropped: [], error } }
    }
    const ids = await unconfirmedTo(tx, username)
    if (ids.length > 0 && unconfirmed === undefined) throw new UnconfirmedMessagesError(username, ids.length)
    if (unconfirmed === 'drop') await dropUnconfirmed(tx, username, { error, nowMs: this.#context.now() })
    else await requeueForNewKey(tx, username)
    const sorted = await sortByKey(tx, username, { before: encodeBase64Url(peer.identity), identity })
    // Messages under the new key were quarantined, and some may have been evicted: a reset makes the peer resend them.
    await requestReset(tx, username, 'undecryptable')
    const dropped = unconfirmed === 'drop' ? ids : []
    const { withheld, restored } = sorted
    const decision = { resent: ids.length - dropped.length, dropped: dropped.length, withheld, restored }
    return { pinned: trustPeer(markChanged(peer, key), key), applied: { decision, sorted, dropped, error } }
  }

  /** @throws {UnknownPeerError} */
  async #load(tx: StateReader, username: Username): Promise<KnownPeer> {
    const peer = await this.#context.loadPeer(tx, username)
    if (peer.trust === 'unknown') throw new UnknownPeerError(username)
    return peer
  }

  #keyOf({ address }: Peer, identity: IdentityKey): Key {
    const { identity: own, address: ownAddress } = this.#context.self()
    const number = safetyNumber({ identity: own.publicKey, address: ownAddress }, { identity, address })
    return { identity: encodeBase64Url(identity), safetyNumber: number }
  }
}

/** Every key in the state has been checked before. */
const keyFrom = (identity: string): IdentityKey => trustedIdentityKey(decodeBase64Url(identity))

type KnownPeer = Exclude<Peer, { trust: 'unknown' }>

const nothing: KeyDecision = { resent: 0, dropped: 0, withheld: 0, restored: 0 }
const unsorted: SortedRecords = { withheld: 0, removed: [], restored: 0, moved: [], closed: [], unanswered: [] }
