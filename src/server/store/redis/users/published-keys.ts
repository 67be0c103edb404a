import { limits } from '../../../../protocol/limits.ts'
import type { Username } from '../../../../protocol/names.ts'
import type {
  FetchedKeys,
  FetchRefusal,
  KeyCounts,
  Keys,
  KeyUpload,
  OneTimeKemKey,
  OneTimeKey,
  Published,
} from '../../store.ts'
import {
  fetchedKey,
  keysKey,
  metaKey,
  oneTimeKemKeysKey,
  oneTimeKeysKey,
  rulesKey,
  takersKey,
} from '../connection/keys.ts'
import { asArray, asNumber, asString } from '../connection/reply.ts'
import { scripts } from '../connection/script.ts'
import { settled } from '../connection/store-error.ts'
import type { RedisContext } from '../nodes/context.ts'

/** Bundles and one-time keys. One-time keys are stored as text: `id key`, or `id key signature` for KEM keys. */
export class RedisPublishedKeys implements Keys {
  readonly #context: RedisContext

  constructor(context: RedisContext) {
    this.#context = context
  }

  async publish(
    username: Username,
    { bundle, oneTimeKeys = [], oneTimeKemKeys = [], replace = false }: KeyUpload,
  ): Promise<Published | 'conflict'> {
    await this.#context.stored.checkGrowth(username)
    const args = [
      bundle?.text ?? '',
      bundle?.counter ?? 0,
      limits.maxOneTimeKeys,
      limits.maxOneTimeKemKeys,
      replace ? '1' : '',
      oneTimeKeys.length,
      ...oneTimeKeys.map(({ id, key }) => `${id} ${key}`),
      ...oneTimeKemKeys.map(({ id, key, signature }) => `${id} ${key} ${signature}`),
    ]
    const reply = await this.#context.withDurability(redis => scripts.publishKeys.run(redis, keysOf(username), args))
    return reply === null ? 'conflict' : decodePublished(asArray(reply))
  }

  async count(username: Username): Promise<KeyCounts> {
    const { redis } = this.#context
    const counts = [redis.llen(oneTimeKeysKey(username)), redis.llen(oneTimeKemKeysKey(username))]
    return decodeCounts(await settled(Promise.all(counts)))
  }

  async fetch(username: Username, requester: Username, id: string): Promise<FetchedKeys | FetchRefusal> {
    await this.#context.stored.checkGrowth(requester)
    const keys = [...keysOf(username), fetchedKey(username, requester, id), rulesKey(username), takersKey(username)]
    const args = [
      limits.fetchRepeatMs,
      limits.maxOneTimeFetchesPerTarget,
      limits.fetchWindowMs,
      requester,
      limits.maxOneTimeFetchesPerPair,
      requester === username ? '1' : '',
    ]
    const reply = asArray(await this.#context.withDurability(kept => scripts.fetchKeys.run(kept, keys, args)))
    const [outcome] = reply
    if (outcome === 'unknown_user') await this.#context.generation.check()
    if (reply.length > 4 && (reply[2] || reply[3])) this.#context.stored.addBrief(requester, limits.fetchedBytes)
    if (outcome === 'unknown_user' || outcome === 'forbidden' || outcome === 'no_keys') return outcome
    if (reply.length > 4) this.#tellLow(username, decodeCounts(reply.slice(4)), asString(reply[6]))
    return decodeFetched(reply)
  }

  #tellLow(username: Username, counts: KeyCounts, node: string): void {
    const isLow = counts.oneTimeKeys < limits.lowOneTimeKeys || counts.oneTimeKemKeys < limits.lowOneTimeKemKeys
    if (isLow && node !== '') this.#context.notify(node, [{ kind: 'keys-low', username, counts }])
  }
}

const keysOf = (username: Username): string[] =>
  [metaKey, keysKey, oneTimeKeysKey, oneTimeKemKeysKey].map(key => key(username))

const decodeCounts = ([oneTimeKeys, oneTimeKemKeys]: unknown[]): KeyCounts => ({
  oneTimeKeys: asNumber(oneTimeKeys),
  oneTimeKemKeys: asNumber(oneTimeKemKeys),
})

function decodePublished([oneTimeKeys, oneTimeKemKeys, replaced, sinceS]: unknown[]): Published {
  return {
    ...decodeCounts([oneTimeKeys, oneTimeKemKeys]),
    ...(asNumber(replaced ?? 0) === 1 && { replaced: true }),
    ...(asNumber(sinceS ?? -1) >= 0 && { sinceReplacedS: asNumber(sinceS) }),
  }
}

function decodeFetched([, bundle, key, kemKey]: unknown[]): FetchedKeys {
  const oneTimeKey = decodeKey(asString(key))
  const oneTimeKemKey = decodeKemKey(asString(kemKey))
  return { bundle: asString(bundle), ...(oneTimeKey && { oneTimeKey }), ...(oneTimeKemKey && { oneTimeKemKey }) }
}

function decodeKey(text: string): OneTimeKey | undefined {
  const [id, key] = text.split(' ')
  return id && key ? { id: Number(id), key } : undefined
}

function decodeKemKey(text: string): OneTimeKemKey | undefined {
  const [id, key, signature] = text.split(' ')
  return id && key && signature ? { id: Number(id), key, signature } : undefined
}
