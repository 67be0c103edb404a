import type { Logger } from '../base/logger.ts'
import { type Claim, type Inboxes, StoreUnavailableError } from '../store/store.ts'

/**
 * Releases claims, and retries after the store was out of reach. An unreleased claim would show its user as online for
 * as long as this node lives.
 */
export class ClaimReleases {
  readonly #inboxes: Pick<Inboxes, 'release'>
  readonly #log: Pick<Logger, 'error'>
  readonly #unreleased = new Set<Claim>()

  constructor(inboxes: Pick<Inboxes, 'release'>, log: Pick<Logger, 'error'>) {
    this.#inboxes = inboxes
    this.#log = log
  }

  /** Never rejects. */
  async release(claim: Claim): Promise<void> {
    try {
      await this.#inboxes.release(claim)
      this.#unreleased.delete(claim)
    } catch (error) {
      this.#unreleased.add(claim)
      if (!(error instanceof StoreUnavailableError)) this.#log.error({ err: error }, 'release failed')
    }
  }

  /** Retries all failed releases. Called when the store can be reached again. */
  async retry(): Promise<void> {
    await Promise.all([...this.#unreleased].map(claim => this.release(claim)))
  }
}
