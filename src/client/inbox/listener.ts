import { closeCodes, ProtocolError } from '../../protocol/errors.ts'
import { idSource } from '../../protocol/fields.ts'
import type { ServerFrameOf } from '../../protocol/frames.ts'
import { asError } from '../../util/as-error.ts'
import { raceAbort, sleep } from '../../util/signal.ts'
import { ReplacedError, UnreachableError } from '../base/errors.ts'
import type { ClientContext } from '../connection/client-context.ts'
import type { Link } from '../connection/link.ts'
import type { PrekeyPublisher } from '../sessions/prekey-publisher.ts'
import type { IncomingQueue } from './incoming.ts'

const idPattern = new RegExp(idSource)

/** The delay after a `listen` that the node refused for now, ms. */
const retryMs = 1_000

/**
 * Keeps the claim on the inbox, over as many connections as it takes. Ends when it is stopped, when another connection
 * listens (close code 4409), or when the login is refused.
 */
export class Listener {
  readonly #context: ClientContext
  readonly #incoming: IncomingQueue
  readonly #prekeyPublisher: PrekeyPublisher
  #stop: AbortController | undefined
  #running: Promise<void> = Promise.resolve()

  constructor(context: ClientContext, incoming: IncomingQueue, publisher: PrekeyPublisher) {
    this.#context = context
    this.#incoming = incoming
    this.#prekeyPublisher = publisher
  }

  /** Starts listening unless it is running already. The signal aborts when listening ends, with the reason. */
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

  /** Releases the claim. No envelope is processed after this has resolved. */
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
    const intake = this.#incoming.open(link)
    link.onPush = push => {
      if (push.type === 'keys_low') this.#refill(link, push)
      else intake.push(push)
    }
    try {
      const { instance } = this.#context
      const listening = link.request({ type: 'listen', instance })
      const { epoch, queued } = await raceAbort(listening, signal)
      intake.expect(queued)
      this.#context.events.emit('listening', { epoch, queued })
      const end = await raceAbort(link.closed, signal)
      if (end.code === closeCodes.replaced.code) throw this.#replaced(end.said)
    } catch (error) {
      if (signal.aborted) await this.#release(link)
      else if (error instanceof ProtocolError && error.retryAdvice !== 'no')
        await sleep(retryMs, signal).catch(() => {})
      else if (!(error instanceof UnreachableError)) throw error
      else await this.#throwIfReplaced(link)
    } finally {
      link.onPush = () => {}
      await intake.close()
    }
  }

  #refill(link: Link, { oneTimeKeys, oneTimeKemKeys }: ServerFrameOf<'keys_low'>): void {
    const { events } = this.#context
    events.emit('keys-low', { oneTimeKeys, oneTimeKemKeys })
    // After a failure the node repeats `keys_low` with the next `listen`.
    this.#prekeyPublisher.refill(link, { oneTimeKeys, oneTimeKemKeys }).catch((error: unknown) => {
      if (link.isOpen) events.emit('failed', { error: asError(error) })
    })
  }

  /** A `listen` that crosses another connection's `listen` may end with the close code instead of an answer. */
  async #throwIfReplaced(link: Link): Promise<void> {
    const end = await link.closed
    if (end.code === closeCodes.replaced.code) throw this.#replaced(end.said)
  }

  /** @param said the reason of the close: the id of the other connection, if the node is honest */
  #replaced(said = ''): ReplacedError {
    const instance = idPattern.test(said) ? said : ''
    this.#context.events.emit('replaced', { instance })
    return new ReplacedError(instance)
  }

  async #release(link: Link): Promise<void> {
    if (link.isOpen) await link.request({ type: 'stop' }).catch(() => {})
  }
}
