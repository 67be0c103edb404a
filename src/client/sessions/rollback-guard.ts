import { asError } from '../../util/as-error.ts'
import { sleep } from '../../util/signal.ts'
import { ServerFaultError, UnreachableError } from '../base/errors.ts'
import type { ClientContext } from '../connection/client-context.ts'
import type { Link } from '../connection/link.ts'
import { lastOrder } from '../records/crypto-records.ts'
import type { StateReader } from '../state/state-store.ts'
import type { PrekeyPublisher } from './prekey-publisher.ts'
import { recoverFromRollback } from './rollback-recovery.ts'

/** The number of steps that a state reserves ahead of its last one. */
const aheadSteps = 1_024
/** The interval between reservations while messages are sent, ms. */
const refreshMs = 1_000
/** A second restore within this time is reported as such, seconds. */
const againS = 3_600
/** No state ever makes this many steps: a node that reports more lies. */
const maxSteps = 2 ** 52

/**
 * Detects that this state is an older copy (docs/E2E.md section 9). The node records how many steps this agent's state
 * has reserved: if the original went on, it has reserved more than its copy can know of. Nothing is encrypted beyond
 * the reserved steps.
 */
export class RollbackGuard {
  readonly #context: ClientContext
  readonly #publisher: Pick<PrekeyPublisher, 'replace'>
  #confirmed = 0
  #refreshing = false

  constructor(context: ClientContext, publisher: Pick<PrekeyPublisher, 'replace'>) {
    this.#context = context
    this.#publisher = publisher
  }

  /** Returns true if the node has recorded that this state may reach `step`. */
  isReserved(step: number): boolean {
    return step <= this.#confirmed
  }

  /**
   * Compares this state with the number of steps that the node has recorded, and recovers if it is an older copy. The
   * published keys are replaced before anything else.
   * @throws {ServerFaultError} for a number that no state reaches
   * @throws {UnreachableError}
   */
  async check(link: Link, reserved: number): Promise<void> {
    if (reserved > maxSteps) throw new ServerFaultError(`the server says that this agent made ${reserved} steps`)
    const isOlder = await this.#isOlder(reserved)
    const peers = isOlder ? await this.#recover(reserved) : 0
    const sinceS = await this.#replaceKeys(link)
    if (isOlder) this.#context.events.emit('restored', { peers, again: sinceS !== undefined && sinceS < againS })
    this.#confirmed = reserved
  }

  #recover(reserved: number): Promise<number> {
    return this.#context.store.transaction(async tx =>
      isBehind(await lastOrder(tx), reserved) ? recoverFromRollback(tx, this.#context, reserved) : 0,
    )
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

  /** Reserves steps ahead, and waits until the node has recorded them. */
  async reserve(link: Link): Promise<void> {
    const upTo = (await this.#context.store.read(lastOrder)) + aheadSteps
    if (upTo <= this.#confirmed) return
    const answer = await link.request({ type: 'reserve', upTo })
    await this.check(link, answer.upTo)
  }

  /**
   * Reserves steps before messages are sent, and once more after `refreshMs`. Does not wait: the node handles the
   * frames of one socket in order.
   */
  refresh(link: Link): void {
    if (this.#refreshing) return
    this.#refreshing = true
    void this.#keepFresh(link)
      .catch(() => {
        // The link broke or the client closes. The next login checks again.
      })
      .finally(() => {
        this.#refreshing = false
      })
  }

  async #keepFresh(link: Link): Promise<void> {
    await this.reserve(link)
    await sleep(refreshMs, this.#context.closing)
    if (link.isOpen) await this.reserve(link)
  }

  async #isOlder(reserved: number): Promise<boolean> {
    return this.#context.store.read(async (tx: StateReader) => isBehind(await lastOrder(tx), reserved))
  }
}

const isBehind = (order: number, reserved: number): boolean => reserved > order + aheadSteps
