import { raceAbort, sleep } from '../../util/signal.ts'
import { ReplacedError } from '../base/errors.ts'
import type { ClientContext } from '../connection/client-context.ts'
import type { Listener } from './listener.ts'

/** How often this process checks whether the other process is still listening, ms. */
const checkMs = 3_000

/** Counts the users of the listener in this process. Listening ends when the last one has released it. */
export class ListenerLease {
  readonly #context: ClientContext
  readonly #listener: Listener
  #holders = 0

  constructor(context: ClientContext, listener: Listener) {
    this.#context = context
    this.#listener = listener
  }

  /**
   * Starts listening, also if another process listens. The signal aborts when listening ends, with the reason. The
   * caller must call `release`.
   */
  acquire(): AbortSignal {
    this.#holders += 1
    return this.#listener.start()
  }

  async release(): Promise<void> {
    this.#holders -= 1
    if (this.#holders === 0) await this.#listener.stop()
  }

  /**
   * Keeps listening until `signal` aborts, without taking the inbox over from another process of this agent: envelopes
   * that the other process receives are in the state that both share.
   * @throws the error that ended listening for good, except {ReplacedError}
   */
  async keepListening(signal: AbortSignal): Promise<void> {
    this.#holders += 1
    try {
      while (!signal.aborted) {
        if (!this.#listener.isRunning && (await this.#isListenedTo(signal))) await sleep(checkMs, signal)
        else await this.#listen(signal)
      }
    } catch (error) {
      if (!signal.aborted) throw error
    } finally {
      await this.release()
    }
  }

  async #listen(signal: AbortSignal): Promise<void> {
    const ended = this.#listener.start()
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
