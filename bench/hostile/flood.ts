import { setTimeout as delay } from 'node:timers/promises'
import { startAimessage } from '../systems/aimessage.ts'
import { newCredentials, RawAgent } from '../systems/raw-agent.ts'
import type { Agent } from '../systems/system.ts'
import { mebibyte } from '../usage.ts'
import { atLeast, atMost, type Workload } from '../workloads/workload.ts'
import { startChild } from './child.ts'
import { until } from './until.ts'

const maxMemory = '96mb'
const pairs = 25
/** Messages per second of one pair. */
const perSecond = 4
const calmMs = 30_000
/** How often a newcomer registers during the flood, ms. */
const newcomerMs = 5_000

type Phase = { sent: number; latencies: number[] }

/** Pairs that know each other. Each message is sent again until it is accepted, as the client library does. */
class Friends {
  readonly #waiting = new Map<string, { at: number; phase: Phase }>()
  #phase: Phase = { sent: 0, latencies: [] }
  #isOver = false
  repeated = 0

  begin(): Phase {
    this.#phase = { sent: 0, latencies: [] }
    return this.#phase
  }

  heard = (body: string): void => {
    const sent = this.#waiting.get(body)
    if (!sent) return
    this.#waiting.delete(body)
    sent.phase.latencies.push(performance.now() - sent.at)
  }

  async write(from: Agent, to: string): Promise<void> {
    await delay(Math.random() * 1_000)
    for (let count = 0; !this.#isOver; count += 1) {
      const body = Buffer.from(`${to} ${count}`).toString('base64url')
      const phase = this.#phase
      phase.sent += 1
      this.#waiting.set(body, { at: performance.now(), phase })
      while (!(await accepts(from, to, body))) {
        this.repeated += 1
        await delay(100)
      }
      await delay(1_000 / perSecond)
    }
  }

  get missing(): number {
    return this.#waiting.size
  }

  end(): void {
    this.#isOver = true
  }
}

const accepts = (from: Agent, to: string, body: string): Promise<boolean> =>
  from.send(to, body).then(
    () => true,
    () => false,
  )

const valueAt = (latencies: readonly number[], share: number): number =>
  [...latencies].sort((one, other) => one - other)[Math.floor((latencies.length - 1) * share)] ?? Number.NaN
const mean = (latencies: readonly number[]): number =>
  latencies.reduce((sum, each) => sum + each, 0) / Math.max(1, latencies.length)

/** One address uses every way to fill a small Redis, beside agents that knew each other before. */
export const flood = (minutes: number): Workload => ({
  name: 'flood',
  what: `Redis of ${maxMemory}, default limits; one address fills it for ${minutes} min, beside ${pairs} pairs of agents`,
  run: async ({ owner, progress }) => {
    const node = await startAimessage(owner, { redisConfig: { maxmemory: maxMemory }, env: { UPGRADES_PER_S: '200' } })
    const memory = async () => Number(/used_memory:(\d+)/.exec(String(await node.redis.cli('INFO', 'memory')))?.[1])
    const friends = new Friends()
    const names = Array.from({ length: 2 * pairs }, (_none, at) => `friend-${at}`)
    const agents: Agent[] = []
    for (const name of names) agents.push(await node.connect(name, { onMessage: friends.heard }))
    for (const [at, agent] of agents.entries()) {
      await agent.send(names[at ^ 1] ?? '', 'AAAA')
    }
    for (const [at, agent] of agents.entries()) void friends.write(agent, names[at ^ 1] ?? '')

    await delay(3_000)
    progress('without the flood')
    const before = friends.begin()
    await delay(calmMs)
    progress('with the flood')
    const during = friends.begin()
    const child = startChild(owner, './flooder.ts', node.urls[0] ?? '', JSON.stringify(names))
    let last = '{}'
    let isOver = false
    void (async () => {
      while (!isOver) {
        const line = await child.line()
        if (!isOver) last = line
      }
    })()
    const endsAt = performance.now() + minutes * 60_000
    let most = 0
    const newcomers = { tried: 0, in: 0, slowestMs: 0 }
    for (let at = 0; performance.now() < endsAt; at += 1) {
      await delay(newcomerMs)
      most = Math.max(most, await memory())
      const since = performance.now()
      newcomers.tried += 1
      const arrived = RawAgent.connect(node.urls[0] ?? '', newCredentials(`newcomer-${at}`))
      const newcomer = await Promise.race([arrived.catch(() => undefined), delay(30_000, undefined, { ref: false })])
      if (newcomer) newcomers.in += 1
      newcomer?.close()
      newcomers.slowestMs = Math.max(newcomers.slowestMs, performance.now() - since)
      const waits = `friends wait ${mean(during.latencies.slice(-100)).toFixed(1)} ms`
      progress(`${(most / mebibyte).toFixed(0)} MiB at most, ${waits}, ${friends.missing} under way, ${last}`)
    }
    isOver = true
    await child.end()
    progress('without the flood, again')
    const after = friends.begin()
    await delay(calmMs)
    friends.end()
    await until(() => friends.missing === 0)
    const base = Math.max(mean(before.latencies), mean(after.latencies))
    const values = ({ sent, latencies }: Phase) => ({
      sent,
      arrived: latencies.length,
      'mean ms': mean(latencies),
      'p50 ms': valueAt(latencies, 0.5),
      'p99 ms': valueAt(latencies, 0.99),
    })
    return {
      workload: 'flood',
      rows: [
        { system: 'without, before', values: values(before) },
        { system: 'with', values: values(during) },
        { system: 'without, after', values: values(after) },
        { system: 'newcomers', values: { ...newcomers } },
        { system: 'the flood', values: { ...JSON.parse(last), 'Redis MiB at most': most / mebibyte } },
      ],
      bars: [
        atMost("friends' messages lost", during.sent - during.latencies.length, 0),
        atMost("friends' sends repeated", friends.repeated, 0),
        atMost("friends' mean wait ÷ without", mean(during.latencies) / base, 2),
        atLeast('newcomers registered ÷ tried', newcomers.in / newcomers.tried, 1),
      ],
    }
  },
})
