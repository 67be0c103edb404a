import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { quantile } from './statistics.ts'
import type { Agent, Running } from './systems/system.ts'
import { since, type Usage, usageOf } from './usage.ts'

/** What one slice of load came to. Latency is from `send` until the receiver has it, ms. */
export type Slice = { messages: number; seconds: number; usage: Usage; p50: number; p99: number }

/** 256 bytes as they travel: base64url. */
export const bodyOfBytes = (bytes: number): string => randomBytes(bytes).toString('base64url')
const defaultBytes = 256

/** Connections that are made at once: enough to be quick, few enough that no login waits long. */
const setUpAtOnce = 40

/** Does something so often, so many at a time. `at` counts from 0. */
export async function repeat(times: number, work: (at: number) => Promise<unknown>): Promise<void> {
  let next = 0
  const run = async () => {
    for (let at = next++; at < times; at = next++) await work(at)
  }
  await Promise.all(Array.from({ length: setUpAtOnce }, run))
}

export type LoadOptions = {
  /** Senders; each writes to one receiver. */
  pairs: number
  /** Messages of one pair that are on their way at once. */
  inFlight: number
  /** Receivers that the senders share; as many as there are pairs unless it says less. */
  receivers?: number
  /** Which node senders and receivers connect to. */
  senderNode?: number
  receiverNode?: number
  bodyBytes?: number
  /** Names start with it, so that two loads of one system do not meet. */
  prefix?: string
}

type Pair = { sender: Agent; to: string; sent: number; accepted: number; delivered: number; startedAt: number[] }

/**
 * Pairs of agents that keep a number of messages on their way. Messages of one pair arrive in order, so that a queue of starting times is all the
 * bookkeeping of latency there is.
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
    // Where many write to one, whoever is oldest on its way is taken to have arrived: the mean latency stays right.
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

  /** As fast as the system goes, for so long, after a warm-up. */
  async run(seconds: number, warmUpSeconds = 0.5): Promise<Slice> {
    this.#isOn = true
    for (const pair of this.#pairs) this.#fill(pair)
    await delay(warmUpSeconds * 1_000)
    const slice = await this.#measure(() => delay(seconds * 1_000))
    this.#isOn = false
    await this.#settle()
    return slice
  }

  /** So many messages a second, whatever the system does. */
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

  /** Until everything has arrived. */
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

/** A refused send would falsify what is measured. */
function fail(error: unknown): never {
  throw error
}
