import type { Logger } from '../base/logger.ts'
import { type Claim, type Inboxes, StoreUnavailableError } from '../store/store.ts'

/** Gives claims up, and tries again where the store was out of reach: a forgotten claim would show its user online while this node lives. */
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

  /** What could not be released before; called when the store answers again. */
  async retry(): Promise<void> {
    await Promise.all([...this.#unreleased].map(claim => this.release(claim)))
  }
}
