import { startTimer, type Timer } from '../../util/timer.ts'
import { UnreachableError } from '../base/errors.ts'
import type { ReceivedMessage } from '../messages/message.ts'
import type { Inbox, Taken } from './inbox.ts'
import type { Intake } from './incoming.ts'

export type ReceiveOptions = {
  /** Stops receiving: the iteration ends. */
  signal?: AbortSignal
  /** Waits so long for something to be there, ms, and ends once there is no more; without it the iteration goes on for ever. */
  waitMs?: number
  /** Ends after so many messages. */
  count?: number
}

/** How long after its wait an iteration goes on trying to see the inbox at all, ms. */
const graceMs = 10_000

/** The iteration behind `Client.receive`. `ended` aborts when listening does, with the reason. */
export async function* receive(
  inbox: Inbox,
  intake: Intake,
  ended: AbortSignal,
  { signal, waitMs, count }: ReceiveOptions,
): AsyncGenerator<ReceivedMessage, void, undefined> {
  const stop = AbortSignal.any(signal ? [ended, signal] : [ended])
  const wait = new Wait(inbox, intake, stop, waitMs)
  try {
    for (let shown = 0; shown !== count; shown += 1) {
      const taken = await wait.next(shown > 0 && count === undefined)
      if (!taken) break
      yield* show(taken)
    }
  } finally {
    wait.end()
  }
  if (ended.aborted && isFailure(ended.reason)) throw ended.reason
}

/** The time an iteration has. Whatever can end a wait notifies `inbox.arrived`, and the waiter looks again. */
class Wait {
  readonly #inbox: Inbox
  readonly #intake: Intake
  readonly #stop: AbortSignal
  readonly #timers: Timer[] = []
  readonly #wake = () => this.#inbox.arrived.notify()
  readonly #isBounded: boolean
  #isOver = false
  #isLate = false

  constructor(inbox: Inbox, intake: Intake, stop: AbortSignal, waitMs: number | undefined) {
    this.#inbox = inbox
    this.#intake = intake
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
   * The next message; nothing when the wait is over and what waited at the node was seen, or already when it was seen
   * if `content` with that.
   * @throws {UnreachableError} when the wait is over and no node was there to ask.
   */
  async next(content: boolean): Promise<Taken | undefined> {
    for (;;) {
      const { version } = this.#inbox.arrived
      const { isCaughtUp } = this.#intake
      const taken = this.#stop.aborted ? undefined : await this.#inbox.take()
      if (taken || this.#stop.aborted) return taken
      if (isCaughtUp && (this.#isOver || (content && this.#isBounded))) return undefined
      if (this.#isLate) throw new UnreachableError('no node could be asked for messages in time')
      await this.#inbox.arrived.after(version)
    }
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

/** Yields one message; asking for the next one acknowledges it, leaving the loop gives it back. */
async function* show({ message, giveBack }: Taken): AsyncGenerator<ReceivedMessage, void, undefined> {
  try {
    yield message
    await message.ack()
  } finally {
    giveBack()
  }
}

/** An iteration that was stopped ends; one whose listening broke throws. */
const isFailure = (reason: unknown): boolean =>
  reason instanceof Error && reason.name !== 'AbortError' && reason.name !== 'ClosedError'
