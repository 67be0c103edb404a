import { quantile } from '../statistics.ts'
import type { Agent, Owner, Running } from '../systems/system.ts'

/** Messages of one pair a second: agents that talk, not a load that fills the machine. */
const perSecond = 20
const pairs = 25

/** Well-behaved pairs of agents, and how long their messages take, whatever else happens to the node. */
export class Pace {
  #latencies: number[] = []
  #refused = 0

  /** Writes from now on until its owner ends. */
  static async start(owner: Owner, running: Running, prefix = 'calm'): Promise<Pace> {
    const pace = new Pace()
    for (let at = 0; at < pairs; at += 1) {
      const to = `${prefix}-to-${at}`
      await running.connect(to, { onMessage: body => pace.#heard(body) })
      pace.#write(owner, await running.connect(`${prefix}-from-${at}`, {}), to)
    }
    return pace
  }

  /** What came since the last question: latencies from `send` until the receiver has it, ms. */
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
