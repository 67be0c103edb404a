import { quantile } from '../statistics.ts'
import type { Agent, Owner, Running } from '../systems/system.ts'

/** Messages per second of one pair: a light load. */
const perSecond = 20
const pairs = 25

/** Well-behaved pairs of agents and the latency of their messages while other load is on the node. */
export class Pace {
  #latencies: number[] = []
  #refused = 0

  /** Starts to send; its owner ends it. */
  static async start(owner: Owner, running: Running, prefix = 'calm'): Promise<Pace> {
    const pace = new Pace()
    for (let at = 0; at < pairs; at += 1) {
      const to = `${prefix}-to-${at}`
      await running.connect(to, { onMessage: body => pace.#heard(body) })
      pace.#write(owner, await running.connect(`${prefix}-from-${at}`, {}), to)
    }
    return pace
  }

  /** Returns the latencies since the last call, from `send` until the receiver has the message, in ms. */
  take(): { messages: number; refused: number; p50: number; p99: number } {
    const latencies = this.#latencies
    const refused = this.#refused
    this.#latencies = []
    this.#refused = 0
    return { messages: latencies.length, refused, p50: quantile(latencies, 0.5), p99: quantile(latencies, 0.99) }
  }

  #write(owner: Owner, sender: Agent, to: string): void {
    const timer = setInterval(() => {
      const body = Buffer.from(String(performance.now())).toString('base64url')
      sender.send(to, body).catch(() => {
        this.#refused += 1
      })
    }, 1_000 / perSecond)
    owner.teardown(() => clearInterval(timer))
  }

  #heard(body: string): void {
    this.#latencies.push(performance.now() - Number(Buffer.from(body, 'base64url').toString()))
  }
}
