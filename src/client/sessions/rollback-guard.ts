import { sleep } from '../../util/signal.ts'
import { ServerFaultError } from '../base/errors.ts'
import type { ClientContext } from '../connection/client-context.ts'
import type { Link } from '../connection/link.ts'
import { lastOrder } from '../records/crypto-records.ts'
import type { StateReader } from '../state/state-store.ts'
import { recover } from './rollback-recovery.ts'

/** Steps that a state may make beyond what the node has on record. */
const aheadSteps = 1_024
/** While messages are sent, the record is brought up to date so often, ms. */
const refreshMs = 1_000
/** No state ever makes so many steps; a node that claims more lies. */
const maxSteps = 2 ** 52

/**
 * Notices that this state is an older copy (docs/E2E.md section 9). The node keeps how many steps this agent's state has announced;
 * an original that went on has announced more than a copy can know of. Nothing is encrypted beyond what was announced.
 */
export class Progress {
  readonly #context: ClientContext
  #confirmed = 0
  #refreshing = false

  constructor(context: ClientContext) {
    this.#context = context
  }

  /** Whether the node knows that this state may be so far. */
  covers(step: number): boolean {
    return step <= this.#confirmed
  }

  /** Compares with what a node says at login. Answers whether this was an older copy, which is then made good. */
  async compare(reserved: number): Promise<boolean> {
    if (reserved > maxSteps) throw new ServerFaultError(`the server says that this agent made ${reserved} steps`)
    const isOlder = await this.#isOlder(reserved)
    if (isOlder) {
      const peers = await this.#context.store.transaction(async tx =>
        isBehind(await lastOrder(tx), reserved) ? recover(tx, this.#context, reserved) : 0,
      )
      this.#context.events.emit('restored', { peers })
    }
    this.#confirmed = reserved
    return isOlder
  }

  /** Announces the steps ahead, and waits for the node to have noted them. */
  async announce(link: Link): Promise<void> {
    const upTo = (await this.#context.store.read(lastOrder)) + aheadSteps
    if (upTo <= this.#confirmed) return
    const answer = await link.request({ type: 'reserve', upTo })
    await this.compare(answer.upTo)
  }

  /**
   * Called before messages leave. The node handles what is said on one socket in order, so nobody waits for it; after a burst it is
   * said once more.
   */
  refresh(link: Link): void {
    if (this.#refreshing) return
    this.#refreshing = true
    void this.#keepFresh(link)
      .catch(() => {
        // The link broke or the client closes; the next login compares.
      })
      .finally(() => {
        this.#refreshing = false
      })
  }

  async #keepFresh(link: Link): Promise<void> {
    await this.announce(link)
    await sleep(refreshMs, this.#context.closing)
    if (link.isOpen) await this.announce(link)
  }

  async #isOlder(reserved: number): Promise<boolean> {
    return this.#context.store.read(async (tx: StateReader) => isBehind(await lastOrder(tx), reserved))
  }
}

const isBehind = (order: number, reserved: number): boolean => reserved > order + aheadSteps
