import type { Bucket, Buckets, Lease, LeaseRequest, Rate } from '../../store.ts'
import { bucketKey } from '../connection/keys.ts'
import { asArray, asNumber } from '../connection/reply.ts'
import { scripts } from '../connection/script.ts'
import type { RedisContext } from '../nodes/context.ts'

/** Token buckets. A bucket that a failover lost is full again, which does no harm. */
export class RedisBuckets implements Buckets {
  readonly #context: RedisContext

  constructor(context: RedisContext) {
    this.#context = context
  }

  async lease(bucket: Bucket, { perSecond, burst }: Rate, { wanted, needed }: LeaseRequest): Promise<Lease> {
    const args = [perSecond, burst, wanted, needed]
    const [granted, waitMs] = asArray(await scripts.leaseTokens.run(this.#context.redis, [bucketKey(bucket)], args))
    return { granted: asNumber(granted), waitMs: asNumber(waitMs) }
  }
}
