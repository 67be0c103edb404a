import { safetyNumber } from '../../crypto/keys/safety-number.ts'
import { dismissChange, identityOf, markVerified, type Peer, type Trust, trustPeer } from '../../crypto/session/peer.ts'
import { type Address, formatAddress, type Username } from '../../protocol/names.ts'
import { encodeBase64Url } from '../../util/bytes.ts'
import { NotComparedError, UnknownPeerError, UnreadablePeerError } from '../base/errors.ts'
import type { ClientContext } from '../connection/client-context.ts'
import { requeue } from '../outbox/outbox-queue.ts'
import { savePeer } from '../records/crypto-records.ts'
import { keys } from '../records/keys.ts'
import { requestReset } from './pending-reset.ts'

/** What this agent knows about the identity of another agent. */
export type PeerIdentity = {
  address: Address
  trust: Exclude<Trust, 'unknown'>
  /** The pinned identity key, base64url. Two agents can compare their keys in full. */
  identity: string
  /** 60 digits, the same on both sides, for two people to compare. */
  safetyNumber: string
  /** Another key that was seen instead of the pinned one, and its safety number. */
  seen?: { identity: string; safetyNumber: string }
}

/** The identity keys of peers, and the decisions about them: docs/E2E.md sections 7 and 11. */
export class Peers {
  readonly #context: ClientContext

  constructor(context: ClientContext) {
    this.#context = context
  }

  /** @throws {UnknownPeerError} before the first message in either direction. */
  async identity(username: Username): Promise<PeerIdentity> {
    const peer = await this.#context.store.read(tx => this.#context.loadPeer(tx, username))
    const identity = identityOf(peer)
    if (!identity || peer.trust === 'unknown') throw new UnknownPeerError(username)
    const seen = peer.trust === 'changed' ? peer.seen : undefined
    return {
      address: formatAddress(username, this.#context.self().domain),
      trust: peer.trust,
      identity: encodeBase64Url(identity),
      safetyNumber: this.#number(peer, identity),
      ...(seen && { seen: { identity: encodeBase64Url(seen), safetyNumber: this.#number(peer, seen) } }),
    }
  }

  /**
   * Records that the user has compared the pinned key with the peer's side. If a key change waits for a decision, this
   * decides for the key that `shown` belongs to.
   * @param shown the safety number (60 digits, spaces allowed) or the full identity key (base64url), as the peer's own
   *   side shows it
   * @throws {NotComparedError} if it belongs to neither key. Nothing changes.
   */
  async verify(username: Username, shown: string): Promise<void> {
    const known = await this.identity(username)
    const text = shown.replaceAll(/\s/g, '')
    if (known.seen && matches(known.seen, text)) await this.trust(username)
    else if (!matches(known, text)) throw new NotComparedError(username)
    await this.#change(username, peer => {
      const decided = dismissChange(peer)
      const identity = identityOf(decided)
      return identity ? markVerified(decided, identity) : decided
    })
  }

  /**
   * Accepts a changed key. Sessions with the old key are dropped; messages that were sent on them and not confirmed are
   * encrypted again.
   */
  async trust(username: Username): Promise<void> {
    await this.#context.store.transaction(async tx => {
      const peer = await this.#context.loadPeer(tx, username)
      if (peer.trust === 'unknown') throw new UnknownPeerError(username)
      if (peer.trust !== 'changed') return
      savePeer(tx, username, trustPeer(peer))
      await requeue(tx, username)
      // Messages under the new key were quarantined, and some may have been evicted: a reset makes the peer resend
      // them.
      await requestReset(tx, username, 'undecryptable')
    })
  }

  /** Forgets a peer whose record is damaged. Returns false for any other peer. */
  repair(username: Username): Promise<boolean> {
    return this.#context.store.transaction(async tx => {
      const damaged = keys.damaged(keys.peer(username))
      const isDamaged = await this.#context.loadPeer(tx, username).then(
        () => false,
        error => {
          if (error instanceof UnreadablePeerError) return true
          throw error
        },
      )
      if (!isDamaged) return false
      tx.delete(damaged)
      await requeue(tx, username)
      await requestReset(tx, username, 'undecryptable')
      return true
    })
  }

  /** Keeps the pinned key: messages under another key are refused as before. */
  dismiss(username: Username): Promise<void> {
    return this.#change(username, dismissChange)
  }

  async #change(username: Username, decide: (peer: Peer) => Peer): Promise<void> {
    await this.#context.store.transaction(async tx => {
      const peer = await this.#context.loadPeer(tx, username)
      if (peer.trust === 'unknown') throw new UnknownPeerError(username)
      savePeer(tx, username, decide(peer))
    })
  }

  #number(peer: Peer, identity: NonNullable<ReturnType<typeof identityOf>>): string {
    const { identity: own, address } = this.#context.self()
    return safetyNumber({ identity: own.publicKey, address }, { identity, address: peer.address })
  }
}

const matches = (known: { identity: string; safetyNumber: string }, shown: string): boolean =>
  shown === known.identity || shown === known.safetyNumber
