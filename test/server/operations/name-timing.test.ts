import { randomBytes } from 'node:crypto'
import t from 'tap'
import { parseUsername } from '../../../src/protocol/names.ts'
import { readConfig } from '../../../src/server/base/config.ts'
import { openLogger } from '../../../src/server/base/logger.ts'
import { createNode } from '../../../src/server/node/create-node.ts'
import { storeOptions } from '../../../src/server/open-store.ts'
import { login } from '../../../src/server/operations/login.ts'
import { openRedisStore } from '../../../src/server/store/redis/redis-store.ts'
import { encodeBase64Url } from '../../../src/util/bytes.ts'
import { identityText, newIdentity, newName, prove } from '../../../tools/clients/raw-client.ts'
import { startRedis } from '../../../tools/servers/redis.ts'
import { open } from '../store/contract/world.ts'

const rounds = 1_000
/** The first logins warm up the code. */
const warmUps = 1_000
/** Share of the times that is kept on both sides: other load causes the longest ones, not the names. */
const kept = 0.95

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length
const variance = (values: readonly number[]): number => {
  const middle = mean(values)
  return values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / (values.length - 1)
}
const median = (sorted: readonly number[]): number => sorted[Math.floor(sorted.length / 2)] ?? 0

/** Welch's t: the distance of two means in standard errors. */
const welch = (a: readonly number[], b: readonly number[]): number =>
  Math.abs(mean(a) - mean(b)) / Math.sqrt(variance(a) / a.length + variance(b) / b.length)

// Evidence: A5
t.test('A5: a login with a wrong proof gets the same error in the same time for known and unknown names', async t => {
  const redis = await startRedis(t)
  const config = readConfig({})
  const store = await openRedisStore(storeOptions(config), { url: redis.url })
  t.teardown(() => store.close())
  const node = createNode(config, store, openLogger('silent'), new AbortController().signal)
  const known = Array.from({ length: 50 }, () => newName())
  for (const name of known) await store.users.register(parseUsername(name), identityText(newIdentity()), open)
  const stranger = newIdentity()

  /** The time of the refusal, µs, and its text. */
  const attempt = async (username: string) => {
    const nonce = encodeBase64Url(randomBytes(32))
    const signature = prove(stranger, { purpose: 'authenticate', username, nonce })
    const since = performance.now()
    const refusal = await login(node, '127.0.0.1', { username, nonce, signature }).catch((error: unknown) => error)
    const tookUs = (performance.now() - since) * 1_000
    return {
      tookUs,
      text: refusal instanceof Error ? JSON.stringify([refusal.name, refusal.message, { ...refusal }]) : '',
    }
  }
  const took: { known: number[]; unknown: number[] } = { known: [], unknown: [] }
  const texts = new Set<string>()
  for (let at = 0; at < warmUps + 2 * rounds; at += 1) {
    const kind = Math.random() < 0.5 ? 'known' : 'unknown'
    const { tookUs, text } = await attempt(kind === 'known' ? (known[at % known.length] ?? '') : newName())
    texts.add(text)
    if (at >= warmUps) took[kind].push(tookUs)
  }
  const [a, b] = [took.known, took.unknown].map(each => each.sort((x, y) => x - y).slice(0, each.length * kept))
  if (!a || !b) throw new Error('two samples')
  const difference = Math.abs(median(a) - median(b)) / Math.min(median(a), median(b))
  t.comment(
    `median ${Math.round(median(a))} and ${Math.round(median(b))} µs (${(100 * difference).toFixed(1)}%), t ${welch(a, b).toFixed(2)}`,
  )
  t.equal(texts.size, 1, 'one answer')
  // On a quiet machine the value is below 0.05. A missing check of the proof would save a third or more.
  t.ok(difference < 0.2)
  t.ok(welch(a, b) < 4.5)
})
