import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { quantile } from './statistics.ts'
import type { Agent, Running } from './systems/system.ts'
import { since, type Usage, usageOf } from './usage.ts'

/** The result of one slice of load. Latency is from `send` until the receiver has the message, in ms. */
export type Slice = { messages: number; seconds: number; usage: Usage; p50: number; p99: number }

/** 256 bytes as base64url. */
export const bodyOfBytes = (bytes: number): string => randomBytes(bytes).toString('base64url')
const defaultBytes = 256

/** Connections opened in parallel: enough to be fast, few enough that no login waits long. */
const setUpAtOnce = 40

/** Runs `count` tasks, a limited number of them in parallel. `at` counts from 0. */
export async function repeat(times: number, work: (at: number) => Promise<unknown>): Promise<void> {
  let next = 0
  const run = async () => {
    for (let at = next++; at < times; at = next++) await work(at)
  }
  await Promise.all(Array.from({ length: setUpAtOnce }, run))
}

export type LoadOptions = {
  /** The number of senders. Each writes to one receiver. */
  pairs: number
  /** Messages of one pair in flight at the same time. */
  inFlight: number
  /** Receivers shared by the senders; by default one per sender. */
  receivers?: number
  /** The nodes to which senders and receivers connect. */
  senderNode?: number
  receiverNode?: number
  bodyBytes?: number
  /** Prefix of all names, so that two loads on one system do not share users. */
  prefix?: string
}

type Pair = { sender: Agent; to: string; sent: number; accepted: number; delivered: number; startedAt: number[] }

/**
 * Pairs of agents that keep a number of messages in flight. Messages of one pair arrive in order, so a queue of start
 * times is enough to measure latency.
 */
export class Load {
  readonly #running: Running
  readonly #options: LoadOptions
  readonly #body: string
  readonly #pairs: Pair[] = []
  #isOn = false
  #delivered = 0
  #latencies: number[] = []

  private constructor(running: Running, options: LoadOptions) {
    this.#running = running
    this.#options = options
    this.#body = bodyOfBytes(options.bodyBytes ?? defaultBytes)
  }

  static async connect(running: Running, options: LoadOptions): Promise<Load> {
    const load = new Load(running, options)
    const { pairs, receivers = pairs, senderNode = 0, receiverNode = 0, prefix = '' } = options
    // With several senders per receiver, the oldest message in flight counts as arrived: the mean stays correct.
    const waiting: Pair[][] = Array.from({ length: receivers }, () => [])
    await repeat(receivers, async at => {
      const onMessage = () => load.#arrived(waiting[at] ?? [])
      await running.connect(`${prefix}receiver-${at}`, { node: receiverNode, onMessage })
    })
    await repeat(pairs, async at => {
      const sender = await running.connect(`${prefix}sender-${at}`, { node: senderNode })
      const to = at % receivers
      const pair = { sender, to: `${prefix}receiver-${to}`, sent: 0, accepted: 0, delivered: 0, startedAt: [] }
      load.#pairs.push(pair)
      waiting[to]?.push(pair)
    })
    return load
  }

  /** Sends as fast as possible for the given time, after a warm-up. */
  async run(seconds: number, warmUpSeconds = 0.5): Promise<Slice> {
    this.#isOn = true
    for (const pair of this.#pairs) this.#fill(pair)
    await delay(warmUpSeconds * 1_000)
    const slice = await this.#measure(() => delay(seconds * 1_000))
    this.#isOn = false
    await this.#settle()
    return slice
  }

  /** Sends at a fixed rate, in messages per second, whether or not the system keeps up. */
  async runPaced(perSecond: number, seconds: number, warmUpSeconds = 0.5): Promise<Slice> {
    await this.#pace(perSecond, warmUpSeconds)
    const slice = await this.#measure(() => this.#pace(perSecond, seconds))
    await this.#settle()
    return slice
  }

  async #pace(perSecond: number, seconds: number): Promise<void> {
    const start = performance.now()
    for (let sent = 0; sent < perSecond * seconds; ) {
      const due = Math.min(perSecond * seconds, ((performance.now() - start) / 1_000) * perSecond)
      for (; sent < due; sent += 1) {
        const pair = this.#pairs[sent % this.#pairs.length]
        if (pair) this.#send(pair)
      }
      await delay(1)
    }
  }

  async #measure(load: () => Promise<unknown>): Promise<Slice> {
    this.#latencies = []
    const delivered = this.#delivered
    const before = usageOf(this.#running)
    const start = performance.now()
    await load()
    const seconds = (performance.now() - start) / 1_000
    const usage = since(before, usageOf(this.#running))
    const latencies = this.#latencies
    return {
      messages: this.#delivered - delivered,
      seconds,
      usage,
      p50: quantile(latencies, 0.5),
      p99: quantile(latencies, 0.99),
    }
  }

  #fill(pair: Pair): void {
    while (this.#isOn && pair.sent - Math.min(pair.accepted, pair.delivered) < this.#options.inFlight) this.#send(pair)
  }

  #send(pair: Pair): void {
    pair.sent += 1
    pair.startedAt.push(performance.now())
    pair.sender.send(pair.to, this.#body).then(() => {
      pair.accepted += 1
      this.#fill(pair)
    }, fail)
  }

  #arrived(queue: Pair[]): void {
    const pair = queue.length === 1 ? queue[0] : oldestOf(queue)
    const startedAt = pair?.startedAt.shift()
    if (!pair || startedAt === undefined) return
    this.#delivered += 1
    this.#latencies.push(performance.now() - startedAt)
    pair.delivered += 1
    this.#fill(pair)
  }

  /** Waits until everything has arrived. */
  async #settle(): Promise<void> {
    const isIdle = () => this.#pairs.every(({ sent, accepted, delivered }) => accepted === sent && delivered === sent)
    for (let waitedMs = 0; !isIdle(); waitedMs += 5) {
      if (waitedMs > 30_000) throw new Error(`${this.#running.name} lost messages`)
      await delay(5)
    }
  }
}

function oldestOf(queue: readonly Pair[]): Pair | undefined {
  let oldest: Pair | undefined
  for (const pair of queue) {
    const startedAt = pair.startedAt[0]
    if (startedAt !== undefined && startedAt < (oldest?.startedAt[0] ?? Number.POSITIVE_INFINITY)) oldest = pair
  }
  return oldest
}

/** A refused send would falsify the measurement. */
function fail(error: unknown): never {
  throw error
}
