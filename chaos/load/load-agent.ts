import '../../tools/node-crypto.ts'
import { ReplacedError } from '../../src/client/base/errors.ts'
import type { ClientEvents } from '../../src/client/base/events.ts'
import { Client } from '../../src/client/client.ts'
import { dialNode } from '../../src/client/connection/dial-node.ts'
import { openDirectoryStore } from '../../src/client/state/directory/directory-store.ts'
import { ProtocolError } from '../../src/protocol/errors.ts'
import { sleep } from '../../src/util/signal.ts'
import type { Random } from '../../tools/random.ts'
import { hashOf } from '../history/hash.ts'
import { messageText, parseMessage } from './message.ts'
import { recordDial } from './recorded-dial.ts'
import type { Recorder } from './recorder.ts'

/** The maximum number of unanswered sends of an agent; in a long outage it waits. */
const maxOpen = 200
/** How long a replaced agent waits before it claims its inbox again, in ms. */
const replacedPauseMs = 1_500
const retryMs = 500

const recordedEvents = [
  'connected',
  'disconnected',
  'replaced',
  'gap',
  'key-changed',
  'peer-reset',
  'undecryptable',
  'failed',
  'restored',
  'generation',
] as const

type LoadAgentOptions = {
  name: string
  peers: readonly string[]
  server: string
  directory: string
  recorder: Recorder
  random: Random
  canary: string
}

/** One agent: sends at random to its peers, receives messages, and records both. */
export class LoadAgent {
  readonly #options: LoadAgentOptions
  readonly #client: Client
  readonly #closing = new AbortController()
  readonly #stop = new AbortController()
  #sent = 0
  #rivals = 0
  #open = new Set<Promise<void>>()

  private constructor(options: LoadAgentOptions, client: Client) {
    this.#options = options
    this.#client = client
    for (const name of recordedEvents) {
      client.on(name, (event: ClientEvents[typeof name]) =>
        options.recorder.note({ ev: 'client-event', name, detail: describe(event) }),
      )
    }
  }

  /** Opens the agent's state, and registers a new agent, with retries until it succeeds. */
  static async open(options: LoadAgentOptions): Promise<LoadAgent> {
    const client = await openRecorded(options)
    while (!client.account) await client.register(options.name).catch(() => pause(retryMs))
    const agent = new LoadAgent(options, client)
    void agent.#receive()
    return agent
  }

  /** Sends `rate` messages per second until `stop`; resolves when each has its answer. */
  async run(rate: number): Promise<void> {
    const { random } = this.#options
    while (!this.#stop.signal.aborted) {
      await sleep((1_000 / rate) * random.between(0.5, 1.5), this.#stop.signal).catch(() => {})
      if (this.#open.size < maxOpen && !this.#stop.signal.aborted) this.#sendOne()
    }
    while (this.#open.size > 0) await Promise.allSettled(this.#open)
  }

  stop(): void {
    this.#stop.abort()
  }

  /** Lets a second client of this agent listen for a while, like another process of the agent. */
  async takeOver(ms: number): Promise<void> {
    const rival = await openRecorded(this.#options)
    this.#rivals += 1
    try {
      await this.#show(rival, this.#rivals, AbortSignal.timeout(ms))
    } catch (error) {
      this.#options.recorder.note({ ev: 'client-event', name: 'takeover ended', detail: String(error) })
    } finally {
      await rival.close()
    }
  }

  async close(): Promise<void> {
    this.stop()
    this.#closing.abort()
    await this.#client.close()
  }

  #sendOne(): void {
    const sending = this.#send().finally(() => this.#open.delete(sending))
    this.#open.add(sending)
  }

  async #send(): Promise<void> {
    const { name, peers, random, recorder, canary } = this.#options
    this.#sent += 1
    const rcpt = random.pick(peers)
    const cid = `${name}/${recorder.inc}/${this.#sent}`
    const text = messageText(cid, canary, random)
    const about = { cid, rcpt, h: hashOf(text) }
    recorder.note({ ev: 'invoke', ...about })
    try {
      const { seq } = await this.#client.send(rcpt, text)
      recorder.note({ ev: 'ok', ...about, seq })
    } catch (error) {
      recorder.note({ ev: isRefusal(error) ? 'fail' : 'info', ...about, error: String(error) })
    }
  }

  /** Listens until the end: a replaced agent claims its inbox again after a pause. */
  async #receive(): Promise<void> {
    const { signal } = this.#closing
    while (!signal.aborted) {
      try {
        await this.#show(this.#client, 0, signal)
      } catch (error) {
        if (signal.aborted) return
        await pause(error instanceof ReplacedError ? replacedPauseMs : retryMs)
      }
    }
  }

  async #show(client: Client, by: number, signal: AbortSignal): Promise<void> {
    const { recorder } = this.#options
    for await (const { from: sender, text = '', repeated = false, ack } of client.receive({ signal })) {
      const cid = parseMessage(text)
      recorder.note({ ev: 'recv', by, cid, sender, h: hashOf(text), repeated })
      await ack()
      recorder.note({ ev: 'acked', by, cid, sender })
    }
  }
}

async function openRecorded({ server, directory, recorder }: LoadAgentOptions): Promise<Client> {
  const store = await openDirectoryStore(directory)
  return Client.open({ server, store, dial: recordDial(dialNode(), recorder) })
}

const pause = (ms: number): Promise<void> => sleep(ms, new AbortController().signal)

const isRefusal = (error: unknown): boolean => error instanceof ProtocolError && error.retryAdvice === 'no'

const describe = (event: object): string =>
  JSON.stringify(event, (_key, value: unknown) => (value instanceof Error ? String(value) : value))
