import type { Username } from '../../../../protocol/names.ts'
import { StoreUnavailableError } from '../../store.ts'
import { metaKey, userKey } from '../connection/keys.ts'
import type { RedisClient } from '../connection/redis-client.ts'
import { asNumber } from '../connection/reply.ts'
import { scripts } from '../connection/script.ts'

/** A claim without an answer. Redis grants it no later than `until`, ms of its clock, or not at all. */
type UnconfirmedClaim = { username: Username; owner: string; until: number }

type UnconfirmedClaimsOptions = {
  redis: RedisClient
  /** Called when the claim is released, to update the indexes. @throws {StoreUnavailableError} */
  onReleased: (username: Username) => Promise<unknown>
}

/**
 * Claims that Redis may have granted although the caller got an error. No caller would release them, and their users
 * would appear online while this node lives. Each claim has a unique owner, so that its release cannot affect a later
 * claim of the same connection.
 */
export class UnconfirmedClaims {
  readonly #options: UnconfirmedClaimsOptions
  readonly #claims = new Set<UnconfirmedClaim>()
  #isSettling = false

  constructor(options: UnconfirmedClaimsOptions) {
    this.#options = options
  }

  add(claim: UnconfirmedClaim): void {
    this.#claims.add(claim)
  }

  /**
   * Releases the claims. Called when Redis answers again. Never rejects: a claim without an answer stays for the next
   * call.
   */
  async settle(): Promise<void> {
    if (this.#isSettling) return
    this.#isSettling = true
    await Promise.all([...this.#claims].map(claim => this.#settle(claim)))
    this.#isSettling = false
  }

  async #settle(claim: UnconfirmedClaim): Promise<void> {
    const { username, owner, until } = claim
    const { redis, onReleased } = this.#options
    try {
      const isOver = await scripts.abandon.run(redis, [metaKey(username), userKey(username)], [owner, until])
      if (asNumber(isOver) !== 1) return
      await onReleased(username)
      this.#claims.delete(claim)
    } catch (error) {
      // Another error would only repeat. The claim then ends with the node's lease.
      if (!(error instanceof StoreUnavailableError)) this.#claims.delete(claim)
    }
  }
}
