import { CryptoError, IdentityChangedError as CryptoIdentityChanged } from '../../crypto/errors.ts'
import { decodeBundle, type Served } from '../../crypto/keys/bundle.ts'
import { encodeReset, newContent, type Reset } from '../../crypto/messages/content.ts'
import { encryptContent } from '../../crypto/session/encrypt-content.ts'
import { dropOffer, makeOffer } from '../../crypto/session/offer.ts'
import { hasSession, markChanged, needsRenewal, type Peer } from '../../crypto/session/peer.ts'
import { startSession } from '../../crypto/session/start-session.ts'
import { ProtocolError } from '../../protocol/errors.ts'
import type { ServerFrameOf } from '../../protocol/frames.ts'
import { formatAddress, type Username } from '../../protocol/names.ts'
import { decodeBase64Url, encodeBase64Url, isBase64Url, toHex } from '../../util/bytes.ts'
import { type Deferred, defer } from '../../util/deferred.ts'
import { raceAbort } from '../../util/signal.ts'
import { startTimer } from '../../util/timer.ts'
import { IdentityChangedError, KeyExchangeError, UnreachableError } from '../base/errors.ts'
import { newId } from '../base/new-id.ts'
import type { ClientContext } from '../connection/client-context.ts'
import { enqueueSealed } from '../outbox/outbox-queue.ts'
import { loadPrekeys, savePeer, savePrekeys } from '../records/crypto-records.ts'
import { SerialQueue } from '../state/serial-queue.ts'
import type { StateTransaction } from '../state/state-store.ts'
import { allowedReset, noteSentReset } from './pending-reset.ts'

/** The time limit for an interactive key exchange, ms. */
const exchangeTimeoutMs = 30_000

/**
 * Returns the reset to send, or undefined if none is wanted any more.
 * @param offered the suites that the peer's bundle offers
 */
type WantedReset = (tx: StateTransaction, offered: readonly number[]) => Promise<Reset | undefined>

const renewal: Reset = { reason: 'renewal', ids: [] }

/** Starts sessions, from a peer's published keys or by an interactive key exchange. */
export class Sessions {
  readonly #context: ClientContext
  /** Only one session start per peer at a time: each set of served keys is for one session. */
  readonly #turns = new Map<Username, SerialQueue>()
  readonly #starting = new Map<Username, Promise<void>>()
  readonly #renewing = new Map<Username, Promise<boolean>>()
  readonly #exchanging = new Map<Username, Promise<void>>()
  /** Ids of the `fetch_keys` frames: under the same id the node serves the same keys again if its answer was lost. */
  readonly #fetches = new Map<Username, string>()
  readonly #offers = new Map<string, Deferred<void>>()

  constructor(context: ClientContext) {
    this.#context = context
  }

  /**
   * Makes sure that there is a session to encrypt with.
   * @throws {IdentityChangedError} {CryptoError} {ProtocolError} {KeyExchangeError} There is no weaker fallback.
   */
  ensure(peer: Username): Promise<void> {
    return once(this.#starting, peer, async () => {
      const isPublished = await this.#inTurn(peer, () => this.#ensure(peer))
      if (!isPublished) await this.initiate(peer)
    })
  }

  /** Returns false if there is no session and the peer has published no keys. */
  async #ensure(peer: Username): Promise<boolean> {
    if (!(await this.#isMissing(peer))) return true
    if ((await this.#isResetAllowed(peer)) && (await this.#resetPeer(peer))) return true
    const served = await this.#fetch(peer)
    if (!served) return false
    await this.#start(peer, served, async (tx, started) => {
      // Another process or the peer may have started a session meanwhile.
      if (hasSession(await this.#context.loadPeer(tx, peer), this.#context.now())) return false
      savePeer(tx, peer, started)
      return true
    })
    return true
  }

  /** Puts the pending reset of a peer into the outbox if it may be sent now. Returns true if it did. */
  sendPendingReset(peer: Username): Promise<boolean> {
    return this.#inTurn(peer, async () => (await this.#isResetAllowed(peer)) && this.#resetPeer(peer))
  }

  async #resetPeer(peer: Username): Promise<boolean> {
    const { now } = this.#context
    return this.#startWithReset(peer, async tx => {
      const known = await this.#context.loadPeer(tx, peer)
      const reason = await allowedReset(tx, peer, { peer: known, nowMs: now() })
      return reason && { reason, ids: await noteSentReset(tx, peer, { peer: known, nowMs: now() }) }
    })
  }

  /**
   * Renews the session if it is old or the peer's bundle offers a better suite: docs/E2E.md section 7, rule 7.
   * @returns true if a renewal was put into the outbox
   */
  renew(peer: Username): Promise<boolean> {
    const { now, policy } = this.#context
    const resetOf: WantedReset = async (tx, offered) => {
      const known = await this.#context.loadPeer(tx, peer)
      return needsRenewal(known, now(), offered, policy) ? renewal : undefined
    }
    return once(this.#renewing, peer, () => this.#inTurn(peer, () => this.#startWithReset(peer, resetOf)))
  }

  /** Renews the session unconditionally, because the application asked for it. */
  renewNow(peer: Username): Promise<boolean> {
    return this.#inTurn(peer, () => this.#startWithReset(peer, async () => renewal))
  }

  /** Starts a new session with a peer that is listening: docs/E2E.md section 12. */
  initiate(peer: Username, timeoutMs = exchangeTimeoutMs): Promise<void> {
    return once(this.#exchanging, peer, () => this.#exchange(peer, timeoutMs))
  }

  /** Completes a key exchange: the peer's answer to our offer has arrived, and its session is saved. */
  answered(offerId: Uint8Array): void {
    this.#offers.get(toHex(offerId))?.resolve()
  }

  /** Fails a key exchange: the peer has declined our offer. */
  declined(offerId: Uint8Array, peer: Username): void {
    this.#offers
      .get(toHex(offerId))
      ?.reject(new KeyExchangeError('key_exchange_declined', `${peer} declined the key exchange`))
  }

  #inTurn<T>(peer: Username, work: () => Promise<T>): Promise<T> {
    const turns = this.#turns.get(peer) ?? new SerialQueue()
    this.#turns.set(peer, turns)
    return turns.run(work)
  }

  async #isMissing(peer: Username): Promise<boolean> {
    const { store, now } = this.#context
    const known = await store.read(tx => this.#context.loadPeer(tx, peer))
    if (known.trust === 'changed') throw new IdentityChangedError(peer)
    return !hasSession(known, now())
  }

  /** Returns the keys that the node serves for a peer; undefined if the peer has published none. */
  async #fetch(peer: Username): Promise<Served | undefined> {
    const link = await this.#context.link()
    const id = this.#fetches.get(peer) ?? newId(this.#context.random)
    this.#fetches.set(peer, id)
    try {
      const keys = await link.request({ type: 'fetch_keys', id, username: peer })
      this.#fetches.delete(peer)
      return toServed(keys)
    } catch (error) {
      if (!(error instanceof UnreachableError)) this.#fetches.delete(peer)
      if (error instanceof ProtocolError && error.code === 'no_keys') return undefined
      throw error
    }
  }

  async #isResetAllowed(name: Username): Promise<boolean> {
    const { store, now } = this.#context
    return store.read(async tx => {
      const peer = await this.#context.loadPeer(tx, name)
      return (await allowedReset(tx, name, { peer, nowMs: now() })) !== undefined
    })
  }

  /**
   * Starts a session whose first content is a reset: docs/E2E.md section 7, rules 5 to 7.
   * @returns true if the reset was put into the outbox; false if the peer has published no keys or no reset is wanted
   */
  async #startWithReset(peer: Username, resetOf: WantedReset): Promise<boolean> {
    const served = await this.#fetch(peer)
    if (!served) return false
    const { now, random, policy } = this.#context
    return this.#start(peer, served, async (tx, started) => {
      const reset = await resetOf(tx, decodeBundle(served.bundle).suites)
      if (!reset) return false
      const content = newContent('reset', encodeReset(reset), { nowMs: now(), random })
      const { peer: next, body } = encryptContent(started, content, { nowMs: now(), policy })
      savePeer(tx, peer, next)
      await enqueueSealed(tx, this.#context, peer, { kind: 'reset', content, body })
      return true
    })
  }

  /**
   * Computes a new session and lets `commit` save it if it is still wanted. If the peer's identity key has changed,
   * that is saved instead.
   * @param commit returns true if it has saved the session
   * @throws {IdentityChangedError}
   */
  async #start(
    peer: Username,
    served: Served,
    commit: (tx: StateTransaction, started: Peer) => Promise<boolean>,
  ): Promise<boolean> {
    const { store, self, now, random, events, policy } = this.#context
    const outcome = await store.transaction(async tx => {
      const known = await this.#context.loadPeer(tx, peer)
      try {
        const { peer: started } = startSession(known, { self: self(), served, policy, nowMs: now(), random })
        return (await commit(tx, started)) ? 'started' : 'unwanted'
      } catch (error) {
        if (!(error instanceof CryptoIdentityChanged)) throw error
        savePeer(tx, peer, markChanged(known, error.seen))
        return 'changed'
      }
    })
    if (outcome === 'changed') {
      events.emit('key-changed', { peer })
      throw new IdentityChangedError(peer)
    }
    if (outcome === 'started') events.emit('session', { peer, initiated: true })
    return outcome === 'started'
  }

  async #exchange(peer: Username, timeoutMs: number): Promise<void> {
    const { store, closing } = this.#context
    const link = await this.#context.link()
    const offer = await this.#makeOffer(peer, timeoutMs)
    const answer = defer<void>()
    this.#offers.set(toHex(offer.offerId), answer)
    const timer = startTimer(timeoutMs, () => answer.reject(tooLate(peer, timeoutMs)))
    try {
      const ttl = Math.max(1, Math.ceil(timeoutMs / 1_000))
      const body = encodeBase64Url(offer.body)
      const sent = link.request({ type: 'key_exchange', to: peer, body, ttl })
      await raceAbort(Promise.all([sent, answer.promise]), closing)
    } catch (error) {
      await store.transaction(async tx => savePrekeys(tx, dropOffer(await loadPrekeys(tx), offer.offerId)))
      throw error
    } finally {
      timer.cancel()
      answer.promise.catch(() => {})
      this.#offers.delete(toHex(offer.offerId))
    }
  }

  /** Saves the private keys of an offer before the offer is sent. */
  #makeOffer(peer: Username, lifetimeMs: number): Promise<{ offerId: Uint8Array; body: Uint8Array }> {
    const { store, self, now, random, policy } = this.#context
    return store.transaction(async tx => {
      const to = formatAddress(peer, self().domain)
      const made = makeOffer(await loadPrekeys(tx), { self: self(), to, policy, nowMs: now(), random, lifetimeMs })
      savePrekeys(tx, made.prekeys)
      return made
    })
  }
}

/** Returns the running operation for a peer, or starts one. */
function once<T>(running: Map<Username, Promise<T>>, peer: Username, start: () => Promise<T>): Promise<T> {
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
    bundle: bytesOf(bundle),
    ...(oneTimeKey && { oneTimeKey: { id: oneTimeKey.id, key: bytesOf(oneTimeKey.key) } }),
    ...(oneTimeKemKey && {
      oneTimeKemKey: {
        id: oneTimeKemKey.id,
        key: bytesOf(oneTimeKemKey.key),
        signature: bytesOf(oneTimeKemKey.signature),
      },
    }),
  }
}

/** @throws {CryptoError} `malformed`: the schema of the frame does not check the length */
function bytesOf(text: string): Uint8Array {
  if (!isBase64Url(text)) throw new CryptoError('malformed')
  return decodeBase64Url(text)
}
