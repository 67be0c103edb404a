import { signReservation, verifyReservation } from '../../crypto/keys/reservation.ts'
import { asError } from '../../util/as-error.ts'
import { decodeBase64Url, encodeBase64Url, isBase64Url } from '../../util/bytes.ts'
import { sleep } from '../../util/signal.ts'
import { RecoveryNeededError, ServerFaultError, UnreachableError } from '../base/errors.ts'
import type { ClientContext } from '../connection/client-context.ts'
import type { Link } from '../connection/link.ts'
import { lastOrder } from '../records/crypto-records.ts'
import { decodeInteger, encodeInteger } from '../records/integer-record.ts'
import { keys } from '../records/keys.ts'
import type { StateReader, StateTransaction } from '../state/state-store.ts'
import type { PrekeyPublisher } from './prekey-publisher.ts'
import { recoverFromRollback } from './rollback-recovery.ts'

/** The number of steps that a state reserves ahead of its last one. */
const aheadSteps = 1_024
/**
 * The interval between reservations while messages are sent, ms. A copy of the state is not recognized by the messages
 * that the original sent within this time before its end.
 */
const refreshMs = 100
/** A second restore within this time is reported as such, seconds. */
const againS = 3_600
/** An agent that sends a thousand messages a second takes fifty days for as many steps. */
const maxJump = 2 ** 32

/** What a node says about reserved steps, at the login and after `reserve`. */
type Answer = { reservation?: { upTo: number; signature: string } | undefined }

/**
 * Detects that this state is an older copy (docs/E2E.md section 9). The state stores how many steps it has reserved,
 * and the node records it: if the original went on, it has reserved more than its copy knows of. Nothing is encrypted
 * beyond the reserved steps. The state signs what it reserves, and believes only numbers that it signed: neither a node
 * nor a finder of a token can invent one.
 */
export class RollbackGuard {
  readonly #context: ClientContext
  readonly #publisher: Pick<PrekeyPublisher, 'replace'>
  #confirmed = 0
  /**
   * The last step of a state that stores what it has reserved, when this process opened it; undefined after the first
   * check. Messages that were queued before that check must not make an older copy look newer.
   */
  #openedAt: number | undefined
  #refreshing = false
  #isDue = false
  #isAsked = false

  constructor(context: ClientContext, publisher: Pick<PrekeyPublisher, 'replace'>) {
    this.#context = context
    this.#publisher = publisher
  }

  async open(): Promise<void> {
    this.#openedAt = await this.#context.store.read(async tx =>
      (await tx.get(keys.reserved())) ? lastOrder(tx) : undefined,
    )
  }

  /** Returns true if the node has recorded that this state may reach `step`. */
  isReserved(step: number): boolean {
    return step <= this.#confirmed
  }

  /** The next `check` treats this state as an older copy, however far the original went: the user asked for it. */
  ask(): void {
    this.#isAsked = true
  }

  /**
   * Compares this state with the number of steps that it, or the original, signed, and recovers if it is an older copy.
   * The published keys are replaced before anything else.
   * @throws {RecoveryNeededError} if the own key signed more steps than an original can plausibly have made
   * @throws {UnreachableError}
   */
  async check(link: Link, answer: Answer): Promise<void> {
    const signed = this.#signedIn(answer)
    const order = await this.#context.store.read(lastOrder)
    if (signed > order + maxJump && !this.#isAsked) throw new RecoveryNeededError(signed, order)
    const isAsked = this.#isAsked
    const isDue = async (tx: StateReader) => isAsked || (await this.#isBehind(tx, signed))
    const recovers = await this.#context.store.read(isDue)
    const peers = recovers ? await this.#recover(signed, isDue) : 0
    this.#isAsked = false
    this.#openedAt = undefined
    const sinceS = await this.#replaceKeys(link)
    const again = !isAsked && sinceS !== undefined && sinceS < againS
    if (recovers) this.#context.events.emit('restored', { peers, again })
    this.#confirmed = signed
  }

  #recover(signed: number, isDue: (tx: StateReader) => Promise<boolean>): Promise<number> {
    return this.#context.store.transaction(async tx => {
      if (!(await isDue(tx))) return 0
      const steps = Math.max(await lastOrder(tx), signed)
      tx.put(keys.reserved(), encodeInteger(steps))
      return recoverFromRollback(tx, this.#context, steps)
    })
  }

  /** A process of an older release that uses the same state reserves without storing it: the steps excuse it. */
  async #isBehind(tx: StateReader, signed: number): Promise<boolean> {
    const stored = await tx.get(keys.reserved())
    if (stored && signed <= decodeInteger(stored)) return false
    return signed > (this.#openedAt ?? (await lastOrder(tx))) + aheadSteps
  }

  /**
   * Replaces the published keys if a restore, now or in an earlier process, has left that to do. After a refusal the
   * next login tries again.
   * @returns the seconds since the keys were replaced before, if the node knows it
   */
  async #replaceKeys(link: Link): Promise<number | undefined> {
    try {
      return (await this.#publisher.replace(link))?.sinceReplacedS
    } catch (error) {
      if (error instanceof UnreachableError) throw error
      this.#context.events.emit('failed', { error: asError(error) })
      return undefined
    }
  }

  /** Returns the number that the node presents with a valid signature of this agent; else 0. */
  #signedIn({ reservation }: Answer): number {
    if (!reservation) return 0
    const { identity, address } = this.#context.self()
    const { upTo, signature } = reservation
    const isOwn =
      isBase64Url(signature) && verifyReservation(identity.publicKey, { address, upTo }, decodeBase64Url(signature))
    return isOwn ? upTo : 0
  }

  /**
   * Reserves steps ahead, and waits until the node has recorded them.
   * @throws {ServerFaultError} if it has not
   */
  async reserve(link: Link): Promise<void> {
    const upTo = await this.#context.store.transaction(tx => this.#noteReservation(tx))
    if (upTo === undefined) return
    const { identity, address } = this.#context.self()
    const signature = encodeBase64Url(signReservation(identity, { address, upTo }))
    const answer = await link.request({ type: 'reserve', upTo, signature })
    await this.check(link, answer)
    // A node of an older release keeps the number without its signature. One that shows a wrong signature is no worse.
    if (this.#confirmed === 0) this.#confirmed = Math.min(answer.upTo, upTo)
    if (this.#confirmed < upTo) throw new ServerFaultError('the server did not record the steps that were reserved')
  }

  /** Stores the number that will be reserved. Returns undefined if the node has recorded it. */
  async #noteReservation(tx: StateTransaction): Promise<number | undefined> {
    const upTo = (await lastOrder(tx)) + aheadSteps
    if (upTo <= this.#confirmed) return undefined
    const stored = await tx.get(keys.reserved())
    if (!stored || decodeInteger(stored) < upTo) tx.put(keys.reserved(), encodeInteger(upTo))
    return upTo
  }

  /**
   * Reserves steps when messages are sent: at once, and then in intervals of `refreshMs`. Does not wait for the
   * answers: if a slow node delayed a reservation, the messages meanwhile would not be covered.
   */
  refresh(link: Link): void {
    this.#isDue = true
    if (this.#refreshing) return
    this.#refreshing = true
    void this.#keepFresh(link)
      .catch(() => {
        // The client closes.
      })
      .finally(() => {
        this.#refreshing = false
      })
  }

  async #keepFresh(link: Link): Promise<void> {
    while (this.#isDue && link.isOpen) {
      this.#isDue = false
      this.reserve(link).catch(() => {
        // The link broke. The next login checks again.
      })
      await sleep(refreshMs, this.#context.closing)
    }
  }
}
