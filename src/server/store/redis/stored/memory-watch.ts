import { limits } from '../../../../protocol/limits.ts'
import type { StorageLevel, StorageUse } from '../../storage.ts'
import { primariesOf, type RedisClient } from '../connection/redis-client.ts'

/** The interval at which a node reads how much memory Redis uses, ms: an attacker fills few MB in this time. */
const watchMs = 500

/**
 * Reads how much memory Redis uses. Without `maxmemory`, the memory of its machine is the limit. In a Cluster the
 * fullest primary counts.
 */
export class MemoryWatch {
  readonly #redis: RedisClient
  #timer: NodeJS.Timeout | undefined
  #isClosed = false
  #use: StorageUse = { level: 'ok', usedBytes: 0, maxBytes: 0 }

  constructor(redis: RedisClient) {
    this.#redis = redis
  }

  get use(): StorageUse {
    return this.#use
  }

  /** Bytes that are not in use. Infinite if the limit is not known. */
  get freeBytes(): number {
    const { usedBytes, maxBytes } = this.#use
    return maxBytes === 0 ? Number.POSITIVE_INFINITY : Math.max(0, maxBytes - usedBytes)
  }

  async start(): Promise<void> {
    await this.#read()
    this.#schedule()
  }

  close(): void {
    this.#isClosed = true
    clearTimeout(this.#timer)
  }

  #schedule(): void {
    if (this.#isClosed) return
    this.#timer = setTimeout(() => void this.#read().finally(() => this.#schedule()), watchMs)
    this.#timer.unref()
  }

  async #read(): Promise<void> {
    try {
      const texts = await Promise.all(primariesOf(this.#redis).map(primary => primary.info('memory')))
      this.#use = fullest(texts.map(toUse))
    } catch {
      // Redis is out of reach, or its user may not run INFO: the last numbers stay.
    }
  }
}

const fullest = (uses: StorageUse[]): StorageUse =>
  uses.reduce((most, use) => (shareOf(use) > shareOf(most) ? use : most), { level: 'ok', usedBytes: 0, maxBytes: 0 })

const shareOf = ({ usedBytes, maxBytes }: StorageUse): number => (maxBytes === 0 ? -1 : usedBytes / maxBytes)

/** Decodes `INFO memory`. */
export function toUse(info: string): StorageUse {
  const numberOf = (name: string) => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0)
  const maxBytes = numberOf('maxmemory') || numberOf('total_system_memory')
  const usedBytes = Math.max(0, numberOf('used_memory') - numberOf('mem_not_counted_for_evict'))
  return { level: levelOf(usedBytes, maxBytes), usedBytes, maxBytes }
}

function levelOf(usedBytes: number, maxBytes: number): StorageLevel {
  if (maxBytes === 0) return 'ok'
  if (usedBytes >= maxBytes * limits.fullShare) return 'full'
  return usedBytes >= maxBytes * limits.scarceShare ? 'scarce' : 'ok'
}
