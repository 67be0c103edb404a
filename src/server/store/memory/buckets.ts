import type { Bucket, Buckets, Lease, LeaseRequest, Rate } from '../store.ts'

type Level = { tokens: number; at: number; fullAt: number }

/** The executable model of `lease-tokens.lua`. */
export class MemoryBuckets implements Buckets {
  readonly #now: () => number
  readonly #levels = new Map<string, Level>()

  constructor(now: () => number) {
    this.#now = now
  }

  async lease(bucket: Bucket, { perSecond, burst }: Rate, { wanted, needed }: LeaseRequest): Promise<Lease> {
    const nowMs = this.#now()
    const key = JSON.stringify(bucket)
    const level = this.#levels.get(key)
    const tokens = level ? Math.min(burst, level.tokens + (Math.max(0, nowMs - level.at) * perSecond) / 1_000) : burst
    const granted = tokens < needed ? 0 : Math.min(wanted, Math.floor(tokens))
    const left = tokens - granted
    this.#levels.set(key, { tokens: left, at: nowMs, fullAt: nowMs + ((burst - left) * 1_000) / perSecond })
    return { granted, waitMs: Math.ceil((Math.max(0, needed - tokens) * 1_000) / perSecond) }
  }

  /** Removes buckets that are full again. */
  dropFull(): void {
    const nowMs = this.#now()
    for (const [key, { fullAt }] of this.#levels) if (fullAt <= nowMs) this.#levels.delete(key)
  }
}
