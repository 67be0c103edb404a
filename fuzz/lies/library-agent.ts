import '../../tools/node-crypto.ts'
import { ClientError } from '../../src/client/base/errors.ts'
import { Client } from '../../src/client/client.ts'
import { dialNode } from '../../src/client/connection/dial-node.ts'
import { OutboxRecord } from '../../src/client/outbox/outbox-record.ts'
import { keys } from '../../src/client/records/keys.ts'
import { SerialQueue } from '../../src/client/state/serial-queue.ts'
import { StateError } from '../../src/client/state/state-error.ts'
import type { StateStore } from '../../src/client/state/state-store.ts'
import { CryptoError } from '../../src/crypto/errors.ts'
import { ProtocolError } from '../../src/protocol/errors.ts'
import { sleep } from '../../src/util/signal.ts'
import { hostileMarker } from './hostile.ts'
import type { Ledger } from './ledger.ts'

/** How long an agent waits before it calls again after an error, ms, as an application would. */
const againMs = 500
/** How long one wait of the mailbox and one handler last, ms. */
const turnMs = 2_000

export type ReadingStyle = 'receive' | 'mailbox'

type LibraryAgentOptions = {
  name: string
  server: string
  ledger: Ledger
  style: ReadingStyle
  now: () => number
  /** Opens the agent's state, again and again. */
  openStore: () => Promise<StateStore>
}

/** An application of the library: it reads messages, answers requests, and may restart over its state. */
export class LibraryAgent {
  readonly name: string
  readonly #options: LibraryAgentOptions
  /** A restart while the last one lasts waits for it. */
  readonly #restarts = new SerialQueue()
  #client: Client | undefined
  #cursor = 0
  #life = new AbortController()
  #loops: Promise<unknown> = Promise.resolve()

  constructor(options: LibraryAgentOptions) {
    this.name = options.name
    this.#options = options
  }

  get client(): Client {
    if (!this.#client) throw new Error(`${this.name} is closed`)
    return this.#client
  }

  async open(): Promise<void> {
    const { server, now, ledger, openStore } = this.#options
    const client = await Client.open({ server, store: await openStore(), dial: dialNode(), now })
    this.#client = client
    this.#life = new AbortController()
    client.on('refused', ({ id }) => ledger.refused(id))
    client.on('failed', ({ error }) => this.checkError('failed', error))
  }

  /** Starts to read messages and to answer requests. */
  work(): void {
    const { signal } = this.#life
    const read = this.#options.style === 'receive' ? () => this.#receive(signal) : () => this.#readMailbox(signal)
    this.#loops = Promise.all([this.#repeat(read, signal), this.#repeat(() => this.#answer(signal), signal)])
  }

  async close(): Promise<void> {
    this.#life.abort()
    await this.#client?.close()
    await this.#loops
  }

  /** Opens the same state again, as a new process would. */
  reopen(): Promise<void> {
    return this.#restarts.run(async () => {
      await this.close()
      await this.open()
      this.work()
    })
  }

  /** The ids of messages that this agent has sent, or will send, and for which it has no receipt. */
  async keptIds(): Promise<ReadonlySet<string>> {
    const store = await this.#options.openStore()
    const ids = await keptIdsIn(store)
    await store.close()
    return ids
  }

  /** Reports an error that is not one of the documented kinds, or that has the node's words in its text. */
  checkError(what: string, error: unknown): void {
    const { ledger } = this.#options
    if (!isDocumented(error)) ledger.fault(`${what} threw an undocumented error`, textOf(error))
    else if (textOf(error).includes(hostileMarker)) ledger.fault(`${what}: the words of the node`, textOf(error))
  }

  async #repeat(run: () => Promise<void>, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await run()
      } catch (error) {
        if (signal.aborted) return
        this.checkError('reading', error)
        await sleep(againMs, signal).catch(() => {})
      }
    }
  }

  async #receive(signal: AbortSignal): Promise<void> {
    for await (const message of this.client.receive({ signal })) {
      this.show(message)
      await message.ack()
      this.#options.ledger.acked(this.name, message)
    }
  }

  async #readMailbox(signal: AbortSignal): Promise<void> {
    const { mailbox } = this.client
    const { messages, cursor } = await mailbox.wait({ waitMs: turnMs, signal, after: this.#cursor })
    for (const message of messages) {
      if (message.kind === 'request') continue
      this.show(message)
      await mailbox.ack([message.id])
      this.#options.ledger.acked(this.name, message)
    }
    // A request stays in the mailbox until it is answered.
    this.#cursor = cursor
  }

  /** Notes a message that the application has got. A late refusal has no text. */
  show({ id, from, text, verified, identity, error }: Viewed): void {
    if (error) return
    const isVerified = verified === 'verified'
    this.#options.ledger.shown(this.name, { id, from, text: text ?? '', isVerified, identity })
  }

  async #answer(signal: AbortSignal): Promise<void> {
    const stop = this.client.onRequest(request => {
      this.show(request)
      return `answer: ${request.text}`
    })
    await sleep(turnMs, signal).catch(() => {})
    await stop()
  }
}

type Viewed = {
  id: string
  from: string
  text: string | undefined
  verified: string
  identity?: string | undefined
  error: unknown
}

/** Returns the ids of the messages in a state that were sent, or will be, and have no receipt. */
export async function keptIdsIn(store: StateStore): Promise<ReadonlySet<string>> {
  const entries = await store.read(async tx => [...(await tx.list(keys.sents())), ...(await tx.list(keys.outboxes()))])
  return new Set(entries.map(([, bytes]) => OutboxRecord.decode(bytes).id))
}

const isDocumented = (error: unknown): boolean =>
  error instanceof ClientError ||
  error instanceof ProtocolError ||
  error instanceof CryptoError ||
  error instanceof StateError ||
  (error instanceof Error && (error.name === 'AbortError' || error.name === 'TimeoutError'))

const textOf = (error: unknown): string => (error instanceof Error ? (error.stack ?? error.message) : String(error))
