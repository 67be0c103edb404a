import type { Username } from '../../../../protocol/names.ts'
import { StoreUnavailableError } from '../../store.ts'
import { metaKey, userKey } from '../connection/keys.ts'
import type { RedisClient } from '../connection/redis-client.ts'
import { asNumber } from '../connection/reply.ts'
import { scripts } from '../connection/script.ts'

/** A claim whose answer never came. Redis grants it at `until` at the latest, ms of its clock, or never. */
type UnconfirmedClaim = { username: Username; owner: string; until: number }

type UnconfirmedClaimsOptions = {
  redis: RedisClient
  /** The claim is given up: the indexes follow. @throws {StoreUnavailableError} */
  onGivenUp: (username: Username) => Promise<unknown>
}

/**
 * Claims that may have been granted though nobody was told: nobody would release them, and their users would show as online while this
 * node lives. Each has an owner of its own, so that giving it up takes nothing from a later claim of the same connection.
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

  /** Gives them up; called when Redis answers. Never rejects: what it does not answer now stays for the next time. */
  async settle(): Promise<void> {
    if (this.#isSettling) return
    this.#isSettling = true
    await Promise.all([...this.#claims].map(claim => this.#settle(claim)))
    this.#isSettling = false
  }

  async #settle(claim: UnconfirmedClaim): Promise<void> {
    const { username, owner, until } = claim
    const { redis, onGivenUp } = this.#options
    try {
      const isOver = await scripts.abandon.run(redis, [metaKey(username), userKey(username)], [owner, until])
      if (asNumber(isOver) !== 1) return
      await onGivenUp(username)
      this.#claims.delete(claim)
    } catch (error) {
      // A fault of ours would be repeated for ever; the node's lease ends what is left.
      if (!(error instanceof StoreUnavailableError)) this.#claims.delete(claim)
    }
  }
}
