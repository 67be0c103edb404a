/** The number of messages that wait here while the application takes them. Messages beyond it stay at the node. */
export const maxBacklog = 1_000
/** An application that acknowledges nothing for this long takes no messages, ms. */
const idleMs = 10_000
/** An application that needs longer than this for `maxBacklog` messages must not hold back requests and replies, ms. */
const patienceMs = 60_000
const enoughPerMs = 10 / 1_000

/**
 * Decides whether a full inbox makes the client wait. It waits for an application that keeps up, so that senders slow
 * down and nothing is refused. It does not wait for one that takes nothing: everything behind the messages would wait.
 */
export class BackPressure {
  readonly #since: number
  #acks = 0
  #lastAck: number

  constructor(nowMs: number) {
    this.#since = nowMs
    this.#lastAck = nowMs
  }

  acknowledged(nowMs: number): void {
    this.#acks += 1
    this.#lastAck = nowMs
  }

  isTooSlow(nowMs: number): boolean {
    const elapsedMs = nowMs - this.#since
    return nowMs - this.#lastAck >= idleMs || (elapsedMs >= patienceMs && this.#acks < elapsedMs * enoughPerMs)
  }
}
