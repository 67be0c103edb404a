import { closeCodes, ProtocolError } from '../../protocol/errors.ts'
import type { ServerFrameOf } from '../../protocol/frames.ts'
import { asError } from '../../util/as-error.ts'
import { raceAbort, sleep } from '../../util/signal.ts'
import { ReplacedError, UnreachableError } from '../base/errors.ts'
import type { ClientContext } from '../connection/client-context.ts'
import type { Link } from '../connection/link.ts'
import type { Publisher } from '../sessions/prekey-publisher.ts'
import type { Intake } from './incoming.ts'

/** After a `listen` that the node could not serve, ms. */
const retryMs = 1_000

/**
 * Keeps the inbox claimed while somebody receives, over as many connections as it takes. It ends when it is stopped, when
 * another connection listens (4409), or when logging in is refused.
 */
export class Receiver {
  readonly #context: ClientContext
  readonly #intake: Intake
  readonly #publisher: Publisher
  #stop: AbortController | undefined
  #running: Promise<void> = Promise.resolve()

  constructor(context: ClientContext, intake: Intake, publisher: Publisher) {
    this.#context = context
    this.#intake = intake
    this.#publisher = publisher
  }

  /** Starts listening, or joins what listens already. The signal says why it ended. */
  start(): AbortSignal {
    if (this.#stop && !this.#stop.signal.aborted) return this.#stop.signal
    const stop = new AbortController()
    this.#stop = stop
    const before = this.#running
    this.#running = before.then(() => this.#run(stop.signal)).catch(error => stop.abort(error))
    return stop.signal
  }

  get isRunning(): boolean {
    return this.#stop !== undefined && !this.#stop.signal.aborted
  }

  /** Gives the claim up; nothing is taken in after it. */
  async stop(reason?: Error): Promise<void> {
    this.#stop?.abort(reason)
    await this.#running
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const link = await raceAbort(this.#context.link(), signal).catch(error => {
        if (signal.aborted) return undefined
        throw error
      })
      if (!link) return
      await this.#listenOn(link, signal)
    }
  }

  async #listenOn(link: Link, signal: AbortSignal): Promise<void> {
    const taking = this.#intake.open(link)
    link.onPush = push => {
      if (push.type === 'keys_low') this.#refill(link, push)
      else taking.push(push)
    }
    try {
      const { instance } = this.#context
      const listening = link.request({ type: 'listen', instance })
      const { epoch, queued } = await raceAbort(listening, signal)
      taking.expect(queued)
      this.#context.events.emit('listening', { epoch, queued })
      const end = await raceAbort(link.closed, signal)
      if (end.code === closeCodes.replaced.code) throw this.#replaced(end.reason)
    } catch (error) {
      if (signal.aborted) await this.#release(link)
      else if (error instanceof ProtocolError && error.retry !== 'no') await sleep(retryMs, signal).catch(() => {})
      else if (!(error instanceof UnreachableError)) throw error
      else await this.#throwIfReplaced(link)
    } finally {
      link.onPush = () => {}
      await taking.close()
    }
  }

  #refill(link: Link, { oneTimeKeys, oneTimeKemKeys }: ServerFrameOf<'keys_low'>): void {
    const { events } = this.#context
    events.emit('keys-low', { oneTimeKeys, oneTimeKemKeys })
    // The node says so again with the next `listen`.
    this.#publisher.refill(link, { oneTimeKeys, oneTimeKemKeys }).catch((error: unknown) => {
      if (link.isOpen) events.emit('failed', { error: asError(error) })
    })
  }

  /** A `listen` that crossed with another one's may end with the close that says so. */
  async #throwIfReplaced(link: Link): Promise<void> {
    const end = await link.closed
    if (end.code === closeCodes.replaced.code) throw this.#replaced(end.reason)
  }

  #replaced(instance: string): ReplacedError {
    this.#context.events.emit('replaced', { instance })
    return new ReplacedError(instance)
  }

  async #release(link: Link): Promise<void> {
    if (link.isOpen) await link.request({ type: 'stop' }).catch(() => {})
  }
}
