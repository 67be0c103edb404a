import type { Served } from '../crypto/bundle.ts'
import { encodeReset, newContent, type Reset } from '../crypto/content.ts'
import { encryptContent } from '../crypto/encrypt-content.ts'
import { IdentityChangedError as CryptoIdentityChanged } from '../crypto/errors.ts'
import { dropOffer, makeOffer } from '../crypto/offer.ts'
import { hasSession, markChanged, type Peer, resetAllowed } from '../crypto/peer.ts'
import { startSession } from '../crypto/start-session.ts'
import { ProtocolError } from '../protocol/errors.ts'
import type { ServerFrameOf } from '../protocol/frames.ts'
import { formatAddress, type Username } from '../protocol/names.ts'
import { decodeBase64Url, encodeBase64Url, toHex } from '../util/bytes.ts'
import { type Deferred, defer } from '../util/deferred.ts'
import { raceAbort } from '../util/signal.ts'
import { type Agent, newId } from './agent.ts'
import { IdentityChangedError, KeyExchangeError } from './errors.ts'
import { keys } from './record-keys.ts'
import { putSealed } from './seal.ts'
import type { StateTransaction } from './state/state-store.ts'
import { loadPeer, loadPrekeys, savePeer, savePrekeys } from './vault.ts'

/** How long a live key exchange may take, ms. */
const exchangeTimeoutMs = 30_000

/** Starts sessions: from published keys, or live with a peer that is there. One start at a time per peer. */
export class Sessions {
  readonly #agent: Agent
  readonly #starting = new Map<Username, Promise<void>>()
  readonly #exchanging = new Map<Username, Promise<void>>()
  /** The request under which keys were asked for: after a lost answer, the same ones are served again. */
  readonly #fetches = new Map<Username, string>()
  readonly #offers = new Map<string, Deferred<void>>()

  constructor(agent: Agent) {
    this.#agent = agent
  }

  /**
   * Makes sure that there is a session to send with.
   * @throws {IdentityChangedError} {CryptoError} {ProtocolError} {KeyExchangeError}: nothing weaker takes its place.
   */
  ensure(peer: Username): Promise<void> {
    return once(this.#starting, peer, async () => {
      if (!(await this.#isMissing(peer))) return
      if (await this.#isStale(peer)) return void (await this.reset(peer, 'rollback'))
      const served = await this.#fetch(peer)
      if (!served) return this.initiate(peer)
      await this.#start(peer, served, async (tx, started) => {
        // Another process, or the peer, may have been faster.
        if (hasSession(await loadPeer(tx, peer, this.#agent.self().domain), this.#agent.now())) return false
        savePeer(tx, peer, started)
        return true
      })
    })
  }

  /** A new session whose first content is a reset: docs/E2E.md section 7, rules 5 to 7. Answers whether something was queued. */
  async reset(peer: Username, reason: Reset['reason']): Promise<boolean> {
    const served = await this.#fetch(peer)
    if (!served) return false
    const { now: nowMs, random } = this.#agent
    await this.#start(peer, served, async (tx, started) => {
      const known = await loadPeer(tx, peer, this.#agent.self().domain)
      // Two bodies that could not be read ask for one repair.
      if (reason === 'undecryptable' && !resetAllowed(known, nowMs())) return false
      if (reason === 'rollback' && !(await tx.get(keys.stale(peer)))) return false
      tx.delete(keys.stale(peer))
      const content = newContent('reset', encodeReset({ reason, ids: [] }), { nowMs: nowMs(), random })
      const { peer: next, body } = encryptContent(started, content, { nowMs: nowMs() })
      savePeer(tx, peer, next)
      await putSealed(tx, this.#agent, peer, { kind: 'reset', content, body })
      return true
    })
    return true
  }

  /** Starts a fresh session with a peer that listens now: docs/E2E.md section 12. */
  initiate(peer: Username, timeoutMs = exchangeTimeoutMs): Promise<void> {
    return once(this.#exchanging, peer, () => this.#exchange(peer, timeoutMs))
  }

  /** The answer to an offer of ours has arrived, and its session is saved. */
  answered(offerId: Uint8Array): void {
    this.#offers.get(toHex(offerId))?.resolve()
  }

  /** The peer declined. */
  declined(offerId: Uint8Array, peer: Username): void {
    this.#offers.get(toHex(offerId))?.reject(new KeyExchangeError('key_exchange_declined', `${peer} declined`))
  }

  async #isMissing(peer: Username): Promise<boolean> {
    const { store, self, now } = this.#agent
    const known = await store.read(tx => loadPeer(tx, peer, self().domain))
    if (known.trust === 'changed') throw new IdentityChangedError(peer)
    return !hasSession(known, now())
  }

  /** What the node serves of a peer's keys; nothing when the peer has published none. */
  async #fetch(peer: Username): Promise<Served | undefined> {
    const link = await this.#agent.link()
    const id = this.#fetches.get(peer) ?? newId(this.#agent.random)
    this.#fetches.set(peer, id)
    try {
      const keys = await link.request({ type: 'fetch_keys', id, username: peer })
      this.#fetches.delete(peer)
      return toServed(keys)
    } catch (error) {
      if (error instanceof ProtocolError && error.code === 'no_keys') return undefined
      throw error
    }
  }

  /** Whether the peer still has to be told that this state was an older copy. */
  async #isStale(peer: Username): Promise<boolean> {
    return (await this.#agent.store.read(tx => tx.get(keys.stale(peer)))) !== undefined
  }

  /** Computes a session aside and lets `commit` save it, if it is still wanted; a key that has changed is remembered instead. */
  async #start(
    peer: Username,
    served: Served,
    commit: (tx: StateTransaction, started: Peer) => Promise<boolean>,
  ): Promise<void> {
    const { store, self, now, random, events } = this.#agent
    const outcome = await store.transaction(async tx => {
      const known = await loadPeer(tx, peer, self().domain)
      try {
        const { peer: started } = startSession(known, { self: self(), served, nowMs: now(), random })
        return (await commit(tx, started)) ? 'started' : 'unwanted'
      } catch (error) {
        if (!(error instanceof CryptoIdentityChanged)) throw error
        savePeer(tx, peer, markChanged(known, error.seen))
        return 'changed'
      }
    })
    if (outcome === 'unwanted') return
    if (outcome === 'started') return events.emit('session', { peer, initiated: true })
    events.emit('key-changed', { peer })
    throw new IdentityChangedError(peer)
  }

  async #exchange(peer: Username, timeoutMs: number): Promise<void> {
    const { store, random, closing } = this.#agent
    const link = await this.#agent.link()
    const offer = await this.#makeOffer(peer, timeoutMs)
    const answer = defer<void>()
    this.#offers.set(toHex(offer.offerId), answer)
    const timer = setTimeout(() => answer.reject(tooLate(peer, timeoutMs)), timeoutMs)
    try {
      const ttl = Math.max(1, Math.ceil(timeoutMs / 1_000))
      const body = encodeBase64Url(offer.body)
      const sent = link.request({ type: 'key_exchange', id: newId(random), to: peer, body, ttl })
      await raceAbort(Promise.all([sent, answer.promise]), closing)
    } catch (error) {
      await store.transaction(async tx => savePrekeys(tx, dropOffer(await loadPrekeys(tx), offer.offerId)))
      throw error
    } finally {
      clearTimeout(timer)
      answer.promise.catch(() => {})
      this.#offers.delete(toHex(offer.offerId))
    }
  }

  /** The private keys of an offer are on disk before it leaves. */
  #makeOffer(peer: Username, lifetimeMs: number): Promise<{ offerId: Uint8Array; body: Uint8Array }> {
    const { store, self, now, random } = this.#agent
    return store.transaction(async tx => {
      const to = formatAddress(peer, self().domain)
      const made = makeOffer(await loadPrekeys(tx), { self: self(), to, nowMs: now(), random, lifetimeMs })
      savePrekeys(tx, made.prekeys)
      return made
    })
  }
}

/** Joins what is under way for a peer, or starts it. */
function once(running: Map<Username, Promise<void>>, peer: Username, start: () => Promise<void>): Promise<void> {
  const known = running.get(peer)
  if (known) return known
  const started = start().finally(() => running.delete(peer))
  running.set(peer, started)
  return started
}

const tooLate = (peer: Username, timeoutMs: number) =>
  new KeyExchangeError('key_exchange_timeout', `${peer} did not answer within ${timeoutMs / 1_000} s`)

function toServed({ bundle, oneTimeKey, oneTimeKemKey }: ServerFrameOf<'keys'>): Served {
  return {
    bundle: decodeBase64Url(bundle),
    ...(oneTimeKey && { oneTimeKey: { id: oneTimeKey.id, key: decodeBase64Url(oneTimeKey.key) } }),
    ...(oneTimeKemKey && {
      oneTimeKemKey: {
        id: oneTimeKemKey.id,
        key: decodeBase64Url(oneTimeKemKey.key),
        signature: decodeBase64Url(oneTimeKemKey.signature),
      },
    }),
  }
}
