import { raceAbort, sleep } from '../../util/signal.ts'
import { ReplacedError } from '../base/errors.ts'
import type { ClientContext } from '../connection/client-context.ts'
import type { Receiver } from './listener.ts'

/** How often whoever leaves listening to another process looks whether that one still does, ms. */
const lookMs = 3_000

/** Who needs the inbox listened to. It is given up when nobody does. */
export class Attendance {
  readonly #context: ClientContext
  readonly #receiver: Receiver
  #holders = 0

  constructor(context: ClientContext, receiver: Receiver) {
    this.#context = context
    this.#receiver = receiver
  }

  /** Listens, whoever did before. The signal says why it ended; whoever took this releases it. */
  take(): AbortSignal {
    this.#holders += 1
    return this.#receiver.start()
  }

  async release(): Promise<void> {
    this.#holders -= 1
    if (this.#holders === 0) await this.#receiver.stop()
  }

  /**
   * Sees to it that the inbox is taken in until `signal` aborts, and takes it from nobody: where another process of this agent
   * listens, what that one takes in is in the state that both share.
   * @throws what made listening pointless, besides {ReplacedError}
   */
  async attend(signal: AbortSignal): Promise<void> {
    this.#holders += 1
    try {
      while (!signal.aborted) {
        if (!this.#receiver.isRunning && (await this.#isListenedTo(signal))) await sleep(lookMs, signal)
        else await this.#listen(signal)
      }
    } catch (error) {
      if (!signal.aborted) throw error
    } finally {
      await this.release()
    }
  }

  async #listen(signal: AbortSignal): Promise<void> {
    const ended = this.#receiver.start()
    await new Promise<void>(resolve => {
      const either = AbortSignal.any([ended, signal])
      if (either.aborted) resolve()
      either.addEventListener('abort', () => resolve(), { once: true })
    })
    const { reason } = ended
    if (
      ended.aborted &&
      reason instanceof Error &&
      reason.name !== 'AbortError' &&
      !(reason instanceof ReplacedError)
    ) {
      throw reason
    }
  }

  async #isListenedTo(signal: AbortSignal): Promise<boolean> {
    const { username } = this.#context.self()
    const link = await raceAbort(this.#context.link(), signal)
    const query = { type: 'list_users', prefix: username, limit: 1 } as const
    const { users } = await raceAbort(link.request(query), signal)
    return users.some(user => user.username === username && user.online)
  }
}
