import { startTimer, type Timer } from '../../util/timer.ts'
import { UnreachableError } from '../base/errors.ts'
import type { ReceivedMessage } from '../messages/message.ts'
import type { Inbox, Taken } from './inbox.ts'
import type { IncomingQueue } from './incoming.ts'

export type ReceiveOptions = {
  /** Ends the iteration. */
  signal?: AbortSignal
  /**
   * Ends the iteration when this time is over and no message waits, or earlier once the waiting messages have been
   * yielded, ms. Without it the iteration does not end.
   */
  waitMs?: number
  /** Ends the iteration after this number of messages. */
  count?: number
}

/** How long after `waitMs` an iteration still tries to reach a node, ms. */
const graceMs = 10_000

/**
 * The iteration behind `Client.receive`.
 * @param ended aborts when listening ends, with the reason
 * @internal
 */
export async function* receive(
  inbox: Inbox,
  incoming: IncomingQueue,
  ended: AbortSignal,
  { signal, waitMs, count }: ReceiveOptions,
): AsyncGenerator<ReceivedMessage, void, undefined> {
  const stop = AbortSignal.any(signal ? [ended, signal] : [ended])
  const wait = new Wait(inbox, incoming, stop, waitMs)
  inbox.addReader()
  try {
    for (let shown = 0; shown !== count; shown += 1) {
      const taken = await wait.next(shown > 0 && count === undefined)
      if (!taken) break
      yield* show(taken)
    }
  } finally {
    inbox.removeReader()
    wait.end()
  }
  if (ended.aborted && isFailure(ended.reason)) throw ended.reason
}

/** The time limits of an iteration. Every event that can end a wait notifies `inbox.arrived`. */
class Wait {
  readonly #inbox: Inbox
  readonly #incoming: IncomingQueue
  readonly #stop: AbortSignal
  readonly #timers: Timer[] = []
  readonly #wake = () => this.#inbox.arrived.notify()
  readonly #isBounded: boolean
  #isOver = false
  #isLate = false

  constructor(inbox: Inbox, incoming: IncomingQueue, stop: AbortSignal, waitMs: number | undefined) {
    this.#inbox = inbox
    this.#incoming = incoming
    this.#stop = stop
    this.#isBounded = waitMs !== undefined
    stop.addEventListener('abort', this.#wake)
    if (waitMs === undefined) return
    this.#after(waitMs, () => {
      this.#isOver = true
    })
    this.#after(waitMs + graceMs, () => {
      this.#isLate = true
    })
  }

  /**
   * Returns the next message; undefined when the iteration has ended.
   * @param isEnough true if a bounded wait may end as soon as every message that waited at the node has been taken
   * @throws {UnreachableError} if no node could be reached in time
   */
  async next(isEnough: boolean): Promise<Taken | undefined> {
    const end = await this.#inbox.arrived.until(async () => {
      const { isCaughtUp } = this.#incoming
      const taken = this.#stop.aborted ? undefined : await this.#inbox.take()
      if (taken || this.#stop.aborted) return { taken }
      if (isCaughtUp && (this.#isOver || (isEnough && this.#isBounded))) return { taken: undefined }
      if (this.#isLate) throw new UnreachableError('no node could be asked for messages in time')
      return undefined
    })
    return end.taken
  }

  end(): void {
    this.#stop.removeEventListener('abort', this.#wake)
    for (const timer of this.#timers) timer.cancel()
  }

  #after(ms: number, act: () => void): void {
    const timer = startTimer(ms, () => {
      act()
      this.#wake()
    })
    this.#timers.push(timer)
  }
}

/** Yields one message. Asking for the next message acknowledges it; leaving the loop gives it back. */
async function* show({ message, giveBack }: Taken): AsyncGenerator<ReceivedMessage, void, undefined> {
  try {
    yield message
    await message.ack()
  } finally {
    giveBack()
  }
}

/** Returns true if listening broke, and false if the caller has stopped it. */
const isFailure = (reason: unknown): boolean =>
  reason instanceof Error && reason.name !== 'AbortError' && reason.name !== 'ClosedError'
