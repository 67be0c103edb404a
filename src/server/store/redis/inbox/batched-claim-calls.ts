import { limits } from '../../../../protocol/limits.ts'
import type { Claim } from '../../store.ts'
import { encodeOwner } from '../connection/claim-owner.ts'
import { inboxKey, metaKey, shareKey } from '../connection/keys.ts'
import { isCluster } from '../connection/redis-client.ts'
import { asArray, asStrings } from '../connection/reply.ts'
import { scripts } from '../connection/script.ts'
import type { RedisContext } from '../nodes/context.ts'
import { MicrotaskBatch } from './microtask-batch.ts'

/** Most envelopes that one call removes from one inbox: a long script blocks all other commands. */
const maxTrim = 200

export type AckOutcome = 'acked' | 'stale' | 'bad_ack'
export type PeekOutcome = 'some' | 'none' | 'stale'

/** A sequence number in the inbox of a claim. */
type Place = { claim: Claim; seq: number }

/**
 * The calls that every listener makes often. Calls of one microtask batch share one script call; in a Cluster, where a
 * script serves one slot, each has its own.
 */
export class BatchedClaimCalls {
  readonly #acks: MicrotaskBatch<Place, string>
  readonly #peeks: MicrotaskBatch<Place, string>

  constructor({ redis, options, stored }: Pick<RedisContext, 'redis' | 'options' | 'stored'>) {
    const most = isCluster(redis) ? 1 : limits.maxBatchItems
    const toArgs = ({ claim, seq }: Place) => [claim.epoch, encodeOwner(claim.owner, options.nodeId), seq]
    this.#acks = new MicrotaskBatch(most, async places => {
      const keys = places.flatMap(({ claim: { username } }) => [
        metaKey(username),
        inboxKey(username),
        shareKey(username),
      ])
      const [outcomes, removed] = asArray(await scripts.ack.run(redis, keys, [maxTrim, ...places.flatMap(toArgs)]))
      stored.removed(asStrings(removed))
      return asStrings(outcomes)
    })
    this.#peeks = new MicrotaskBatch(most, async places => {
      const keys = places.map(({ claim }) => metaKey(claim.username))
      return asStrings(await scripts.peek.run(redis, keys, places.flatMap(toArgs)))
    })
  }

  /** @throws {StoreUnavailableError} */
  async ack(claim: Claim, seq: number): Promise<AckOutcome> {
    for (;;) {
      const outcome = await this.#acks.ask({ claim, seq })
      if (outcome === 'acked' || outcome === 'stale' || outcome === 'bad_ack') return outcome
      if (outcome !== 'more') throw wrongKeyType('trimmed')
    }
  }

  /** @throws {StoreUnavailableError} */
  async peek(claim: Claim, after: number): Promise<PeekOutcome> {
    const outcome = await this.#peeks.ask({ claim, seq: after })
    if (outcome === 'some' || outcome === 'none' || outcome === 'stale') return outcome
    throw wrongKeyType('checked')
  }
}

const wrongKeyType = (what: string): TypeError =>
  new TypeError(`an inbox could not be ${what}: one of its keys has a wrong type`)
