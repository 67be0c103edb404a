import { limits } from '../../../protocol/limits.ts'
import type { Username } from '../../../protocol/names.ts'
import type { FetchedKeys, FetchRefusal, KeyCounts, Keys, KeyUpload, Published } from '../store.ts'
import type { MemoryBacking, MemoryKeys } from './backing.ts'

/** Bundles and one-time keys. */
export class MemoryPublishedKeys implements Keys {
  readonly #backing: MemoryBacking

  constructor(backing: MemoryBacking) {
    this.#backing = backing
  }

  async publish(
    username: Username,
    { bundle, oneTimeKeys = [], oneTimeKemKeys = [], replace = false }: KeyUpload,
  ): Promise<Published | 'conflict'> {
    if (!this.#backing.liveUser(username)) return { oneTimeKeys: 0, oneTimeKemKeys: 0 }
    const keys = this.#backing.keys(username)
    if (bundle && keys.bundle && bundle.counter < keys.bundle.counter) return 'conflict'
    if (bundle) keys.bundle = bundle
    const replaced = replace && this.#empty(keys)
    keys.oneTimeKeys = fill(keys.oneTimeKeys, oneTimeKeys, limits.maxOneTimeKeys)
    keys.oneTimeKemKeys = fill(keys.oneTimeKemKeys, oneTimeKemKeys, limits.maxOneTimeKemKeys)
    return { ...this.#backing.counts(username), ...replaced }
  }

  #empty(keys: MemoryKeys): { replaced: true; sinceReplacedS?: number } {
    const nowMs = this.#backing.now()
    const { replacedAt } = keys
    keys.oneTimeKeys = []
    keys.oneTimeKemKeys = []
    keys.served.clear()
    keys.replacedAt = nowMs
    const since = replacedAt !== undefined && { sinceReplacedS: Math.floor(Math.max(0, nowMs - replacedAt) / 1_000) }
    return { replaced: true, ...since }
  }

  async count(username: Username): Promise<KeyCounts> {
    return this.#backing.counts(username)
  }

  async fetch(username: Username, requester: Username, id: string): Promise<FetchedKeys | FetchRefusal> {
    const nowMs = this.#backing.now()
    if (!this.#backing.liveUser(username)) return 'unknown_user'
    const isOwner = requester === username
    if (!isOwner && !this.#backing.access(username).mayWrite(requester)) return 'forbidden'
    const keys = this.#backing.keys(username)
    if (!keys.bundle) return 'no_keys'
    const request = `${requester} ${id}`
    const served = keys.served.get(request)
    if (served && nowMs - served.at <= limits.fetchRepeatMs) return served.keys
    const fetched = this.#takeOneTimeKeys(username, requester, nowMs)
    for (const [old, { at }] of keys.served) {
      if (nowMs - at <= limits.fetchRepeatMs) break
      keys.served.delete(old)
    }
    const { oneTimeKey, oneTimeKemKey } = fetched
    if (oneTimeKey || oneTimeKemKey) keys.served.set(request, { at: nowMs, keys: fetched })
    this.#tellLow(username)
    return fetched
  }

  #takeOneTimeKeys(username: Username, requester: Username, nowMs: number): FetchedKeys {
    const keys = this.#backing.keys(username)
    const isOpen = nowMs - keys.window.since <= limits.fetchWindowMs
    if (!isOpen) keys.window = { since: nowMs, taken: 0, by: new Map() }
    const bundle = keys.bundle?.text ?? ''
    const own = keys.window.by.get(requester) ?? 0
    if (keys.window.taken >= limits.maxOneTimeFetchesPerTarget) return { bundle }
    if (own >= limits.maxOneTimeFetchesPerPair) return { bundle }
    keys.window.taken += 1
    keys.window.by.set(requester, own + 1)
    const oneTimeKey = keys.oneTimeKeys.shift()
    const oneTimeKemKey = keys.oneTimeKemKeys.shift()
    return { bundle, ...(oneTimeKey && { oneTimeKey }), ...(oneTimeKemKey && { oneTimeKemKey }) }
  }

  #tellLow(username: Username): void {
    const counts = this.#backing.counts(username)
    const { held } = this.#backing.inbox(username)
    const isLow = counts.oneTimeKeys < limits.lowOneTimeKeys || counts.oneTimeKemKeys < limits.lowOneTimeKemKeys
    if (isLow && this.#backing.isHeld(held)) this.#backing.notify(held.node, { kind: 'keys-low', username, counts })
  }
}

function fill<Key extends { id: number }>(held: Key[], added: readonly Key[], full: number): Key[] {
  const keys = [...held]
  for (const key of added) {
    if (keys.length < full && !keys.some(({ id }) => id === key.id)) keys.push(key)
  }
  return keys
}
