import { safetyNumber } from '../../crypto/keys/safety-number.ts'
import { dismissChange, identityOf, markVerified, type Peer, type Trust, trustPeer } from '../../crypto/session/peer.ts'
import { type Address, formatAddress, type Username } from '../../protocol/names.ts'
import { encodeBase64Url } from '../../util/bytes.ts'
import { NotComparedError, UnknownPeerError } from '../base/errors.ts'
import type { ClientContext } from '../connection/client-context.ts'
import { requeue } from '../outbox/outbox-queue.ts'
import { savePeer } from '../records/crypto-records.ts'
import { oweReset } from './pending-reset.ts'

/** What an agent knows of another one's identity. */
export type PeerIdentity = {
  address: Address
  trust: Exclude<Trust, 'unknown'>
  /** The pinned key, base64url. Two agents compare these in full. */
  identity: string
  /** 60 digits that two people compare: the same on both sides. */
  safetyNumber: string
  /** Where another key than the pinned one was seen: that key, and the number that belongs to it. */
  seen?: { identity: string; safetyNumber: string }
}

/** Whose key is whose, and what was decided about it: docs/E2E.md sections 7 and 11. */
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
   * Notes that the pinned key was compared with what the peer's side shows. Where a change waits for a decision, that is a decision for the key
   * whose number was given.
   * @param shown the safety number (60 digits, spaces allowed) or the full identity key, base64url, from the peer's own side
   * @throws {NotComparedError} when it belongs to neither key: nothing changes.
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

  /** Accepts a changed key. Sessions with the old one go; what they carried and nobody confirmed is encrypted again. */
  async trust(username: Username): Promise<void> {
    await this.#context.store.transaction(async tx => {
      const peer = await this.#context.loadPeer(tx, username)
      if (peer.trust === 'unknown') throw new UnknownPeerError(username)
      if (peer.trust !== 'changed') return
      savePeer(tx, username, trustPeer(peer))
      await requeue(tx, username)
      // What came under the new key was set aside, and some of it may be gone: the peer sends again what is not confirmed.
      await oweReset(tx, username, 'undecryptable')
    })
  }

  /** Stays with the pinned key: what comes under another one is refused as before. */
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
