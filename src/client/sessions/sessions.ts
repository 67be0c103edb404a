import { IdentityChangedError as CryptoIdentityChanged } from '../../crypto/errors.ts'
import { decodeBundle, type Served } from '../../crypto/keys/bundle.ts'
import { encodeReset, newContent, type Reset } from '../../crypto/messages/content.ts'
import { encryptContent } from '../../crypto/session/encrypt-content.ts'
import { dropOffer, makeOffer } from '../../crypto/session/offer.ts'
import { hasSession, markChanged, needsRenewal, type Peer } from '../../crypto/session/peer.ts'
import { startSession } from '../../crypto/session/start-session.ts'
import { ProtocolError } from '../../protocol/errors.ts'
import type { ServerFrameOf } from '../../protocol/frames.ts'
import { formatAddress, type Username } from '../../protocol/names.ts'
import { decodeBase64Url, encodeBase64Url, toHex } from '../../util/bytes.ts'
import { type Deferred, defer } from '../../util/deferred.ts'
import { raceAbort } from '../../util/signal.ts'
import { startTimer } from '../../util/timer.ts'
import { IdentityChangedError, KeyExchangeError, UnreachableError } from '../base/errors.ts'
import { newId } from '../base/new-id.ts'
import type { ClientContext } from '../connection/client-context.ts'
import { putSealed } from '../outbox/outbox-queue.ts'
import { loadPrekeys, savePeer, savePrekeys } from '../records/crypto-records.ts'
import { keys } from '../records/keys.ts'
import { SerialQueue } from '../state/serial-queue.ts'
import type { StateTransaction } from '../state/state-store.ts'
import { dueReset } from './pending-reset.ts'

/** How long a live key exchange may take, ms. */
const exchangeTimeoutMs = 30_000

/** Why a new session is to begin with a reset, if it still is; `offered` is what the peer's bundle offers. */
type Why = (tx: StateTransaction, offered: readonly number[]) => Promise<Reset['reason'] | undefined>

/** Starts sessions: from published keys, or live with a peer that is there. */
export class Sessions {
  readonly #context: ClientContext
  /** One start at a time per peer: the keys that a node served are for one session. */
  readonly #turns = new Map<Username, SerialQueue>()
  readonly #starting = new Map<Username, Promise<void>>()
  readonly #renewing = new Map<Username, Promise<boolean>>()
  readonly #exchanging = new Map<Username, Promise<void>>()
  /** The request under which keys were asked for: after a lost answer, the same ones are served again. */
  readonly #fetches = new Map<Username, string>()
  readonly #offers = new Map<string, Deferred<void>>()

  constructor(context: ClientContext) {
    this.#context = context
  }

  /**
   * Makes sure that there is a session to send with.
   * @throws {IdentityChangedError} {CryptoError} {ProtocolError} {KeyExchangeError}: nothing weaker takes its place.
   */
  ensure(peer: Username): Promise<void> {
    return once(this.#starting, peer, async () => {
      const isPublished = await this.#inTurn(peer, () => this.#ensure(peer))
      if (!isPublished) await this.initiate(peer)
    })
  }

  /** Answers false when there is no session and the peer has published no keys. */
  async #ensure(peer: Username): Promise<boolean> {
    if (!(await this.#isMissing(peer))) return true
    if ((await this.#isDue(peer)) && (await this.#repair(peer))) return true
    const served = await this.#fetch(peer)
    if (!served) return false
    await this.#start(peer, served, async (tx, started) => {
      // Another process, or the peer, may have been faster.
      if (hasSession(await this.#context.loadPeer(tx, peer), this.#context.now())) return false
      savePeer(tx, peer, started)
      return true
    })
    return true
  }

  /** Sends the reset that is owed to a peer, if there is one and it may be sent now. Answers whether it was queued. */
  repair(peer: Username): Promise<boolean> {
    return this.#inTurn(peer, async () => (await this.#isDue(peer)) && this.#repair(peer))
  }

  async #repair(peer: Username): Promise<boolean> {
    const { now } = this.#context
    return this.#startWithReset(peer, async tx => {
      const known = await this.#context.loadPeer(tx, peer)
      const reason = await dueReset(tx, peer, { peer: known, nowMs: now() })
      if (reason) tx.delete(keys.owed(peer))
      return reason
    })
  }

  /**
   * Goes over to a new session where the old one has served, or the peer's bundle has a better suite: docs/E2E.md section 7, rule 7. Answers
   * whether that was queued.
   */
  renew(peer: Username): Promise<boolean> {
    const { now, policy } = this.#context
    const why: Why = async (tx, offered) => {
      const known = await this.#context.loadPeer(tx, peer)
      return needsRenewal(known, now(), offered, policy) ? 'renewal' : undefined
    }
    return once(this.#renewing, peer, () => this.#inTurn(peer, () => this.#startWithReset(peer, why)))
  }

  /** The same because somebody asks for it. */
  startAnew(peer: Username): Promise<boolean> {
    return this.#inTurn(peer, () => this.#startWithReset(peer, async () => 'renewal'))
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

  /** What the node serves of a peer's keys; nothing when the peer has published none. */
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

  async #isDue(name: Username): Promise<boolean> {
    const { store, now } = this.#context
    return store.read(async tx => {
      const peer = await this.#context.loadPeer(tx, name)
      return (await dueReset(tx, name, { peer, nowMs: now() })) !== undefined
    })
  }

  /**
   * A new session whose first content is a reset: docs/E2E.md section 7, rules 5 to 7. `why` answers its reason, and nothing where it
   * is not wanted any more. Answers whether it was queued; a peer that has published no keys gets none.
   */
  async #startWithReset(peer: Username, why: Why): Promise<boolean> {
    const served = await this.#fetch(peer)
    if (!served) return false
    const { now, random, policy } = this.#context
    return this.#start(peer, served, async (tx, started) => {
      const reason = await why(tx, decodeBundle(served.bundle).suites)
      if (!reason) return false
      const content = newContent('reset', encodeReset({ reason, ids: [] }), { nowMs: now(), random })
      const { peer: next, body } = encryptContent(started, content, { nowMs: now(), policy })
      savePeer(tx, peer, next)
      await putSealed(tx, this.#context, peer, { kind: 'reset', content, body })
      return true
    })
  }

  /**
   * Computes a session aside and lets `commit` save it, if it is still wanted; a key that has changed is remembered instead. Answers
   * whether it was saved.
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

  /** The private keys of an offer are on disk before it leaves. */
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

/** Joins what is under way for a peer, or starts it. */
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
