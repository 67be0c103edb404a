import { sleep } from '../../util/signal.ts'
import { ServerFaultError } from '../base/errors.ts'
import type { ClientContext } from '../connection/client-context.ts'
import type { Link } from '../connection/link.ts'
import { lastOrder } from '../records/crypto-records.ts'
import type { StateReader } from '../state/state-store.ts'
import { recoverFromRollback } from './rollback-recovery.ts'

/** The number of steps that a state reserves ahead of its last one. */
const aheadSteps = 1_024
/** The interval between reservations while messages are sent, ms. */
const refreshMs = 1_000
/** No state ever makes this many steps: a node that reports more lies. */
const maxSteps = 2 ** 52

/**
 * Detects that this state is an older copy (docs/E2E.md section 9). The node records how many steps this agent's state
 * has reserved: if the original went on, it has reserved more than its copy can know of. Nothing is encrypted beyond
 * the reserved steps.
 */
export class RollbackGuard {
  readonly #context: ClientContext
  #confirmed = 0
  #refreshing = false

  constructor(context: ClientContext) {
    this.#context = context
  }

  /** Returns true if the node has recorded that this state may reach `step`. */
  isReserved(step: number): boolean {
    return step <= this.#confirmed
  }

  /**
   * Compares this state with the number of steps that the node has recorded, and recovers if it is an older copy.
   * @returns true if it was an older copy
   * @throws {ServerFaultError} for a number that no state reaches
   */
  async check(reserved: number): Promise<boolean> {
    if (reserved > maxSteps) throw new ServerFaultError(`the server says that this agent made ${reserved} steps`)
    const isOlder = await this.#isOlder(reserved)
    if (isOlder) {
      const peers = await this.#context.store.transaction(async tx =>
        isBehind(await lastOrder(tx), reserved) ? recoverFromRollback(tx, this.#context, reserved) : 0,
      )
      this.#context.events.emit('restored', { peers })
    }
    this.#confirmed = reserved
    return isOlder
  }

  /** Reserves steps ahead, and waits until the node has recorded them. */
  async reserve(link: Link): Promise<void> {
    const upTo = (await this.#context.store.read(lastOrder)) + aheadSteps
    if (upTo <= this.#confirmed) return
    const answer = await link.request({ type: 'reserve', upTo })
    await this.check(answer.upTo)
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
