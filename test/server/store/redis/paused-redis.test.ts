import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { residentBytes } from '../../../../bench/usage.ts'
import { newUser, RawClient } from '../../../../tools/clients/raw-client.ts'
import { startNodeProcess } from '../../../../tools/servers/node.ts'
import { startRedis } from '../../../../tools/servers/redis.ts'

const pauseMs = 10_000
/** Twice the promised time, because the test machine may pause, too. */
const maxAnswerMs = 4_000
const maxRecoveryMs = 6_000
const maxGrowthBytes = 50_000_000

// Evidence: P7, R8
t.test('R8: while Redis is paused every request gets an answer soon, and afterwards all sends succeed', async t => {
  const redis = await startRedis(t)
  const { wsUrl, pid } = await startNodeProcess(t, { REDIS_URL: redis.url })
  const users = Array.from({ length: 8 }, () => newUser())
  const clients = await Promise.all(users.map(user => RawClient.listening(t, wsUrl, user)))
  const answers: { code: string; ms: number; at: number }[] = []
  let isOver = false
  const ask = async (client: RawClient, frame: Parameters<RawClient['request']>[0]) => {
    const since = performance.now()
    const answer = await client.request(frame)
    const at = performance.now()
    answers.push({ code: answer.type === 'error' ? answer.code : answer.type, ms: at - since, at })
    return answer.type
  }
  /** Sends each message until it is accepted, together with a request that is answered in order. */
  const write = async (client: RawClient, to: string) => {
    const accepted: string[] = []
    for (let count = 0; !isOver; count += 1) {
      const frame = { type: 'send', id: `m${count}`, to, body: 'AAAA' } as const
      for (;;) {
        const [sent] = await Promise.all([ask(client, frame), ask(client, { type: 'reserve', upTo: count })])
        if (sent === 'accepted') break
        await delay(200)
      }
      accepted.push(frame.id)
      await delay(100)
    }
    return accepted
  }
  const written = Promise.all(
    clients.map((client, at) => write(client, users[(at + 1) % users.length]?.username ?? '')),
  )
  await delay(1_000)
  const before = residentBytes(pid)
  await redis.kill('SIGSTOP')
  await delay(pauseMs)
  const grown = residentBytes(pid) - before
  await redis.kill('SIGCONT')
  const resumed = performance.now()
  await delay(maxRecoveryMs)
  isOver = true
  const accepted = await written

  const longest = Math.max(...answers.map(({ ms }) => ms))
  const last = answers.filter(({ code, at }) => code !== 'accepted' && code !== 'reserved' && at > resumed)
  const recovery = Math.max(0, ...last.map(({ at }) => at - resumed))
  t.comment(`answers within ${Math.round(longest)} ms, the last refusal ${Math.round(recovery)} ms after Redis resumed`)
  t.comment(`the node grew by ${(grown / 1e6).toFixed(1)} MB`)
  t.ok(answers.filter(({ code }) => code === 'unavailable').length > clients.length, 'they were refused meanwhile')
  t.ok(longest <= maxAnswerMs)
  t.ok(recovery <= maxRecoveryMs)
  t.ok(grown < maxGrowthBytes)
  for (const [at, ids] of accepted.entries()) {
    const pushes = await clients[(at + 1) % clients.length]?.pushes(ids.length)
    t.same(
      pushes?.map(({ id }) => id),
      ids,
      'each once, in order',
    )
  }
})
