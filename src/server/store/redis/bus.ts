import type { Redis } from 'ioredis'
import { parse } from 'secure-json-parse'
import type { NodeId, Notice } from '../store.ts'
import { nodeChannel } from './keys.ts'

/** A subscription that was cut stays silent for ever: it is asked so often, and given up when it does not answer, ms. */
const pingMs = 3_000

type BusOptions = {
  own: NodeId
  commands: Redis
  subscriber: Redis
  /** Never throws. */
  hear: (notice: Notice) => void
  /** A publish to this node reached nobody. */
  onDeaf: (node: NodeId) => void
}

/** Notices between nodes: Redis' pub/sub, one channel a node. They may be lost; a subscription that begins anew says `resumed`. */
export class Bus {
  readonly #options: BusOptions
  #timer: NodeJS.Timeout | undefined
  #isClosed = false

  constructor(options: BusOptions) {
    this.#options = options
  }

  /** Subscribes, now and after every reconnection. */
  async start(): Promise<void> {
    const { subscriber, own, hear } = this.#options
    subscriber.on('message', (_channel: string, text: string) => this.#heard(text))
    await subscriber.subscribe(nodeChannel(own))
    subscriber.on('ready', () => {
      subscriber.subscribe(nodeChannel(own)).then(
        () => hear({ kind: 'resumed' }),
        () => subscriber.disconnect(true),
      )
    })
    this.#watch()
  }

  close(): void {
    this.#isClosed = true
    clearTimeout(this.#timer)
  }

  /** Tells a node, as one publish; this one directly. Never throws and never waits: what is lost is found by reading. */
  tell(node: NodeId, notices: readonly Notice[]): void {
    const { own, commands, hear, onDeaf } = this.#options
    if (node === own) {
      for (const notice of notices) hear(notice)
      return
    }
    commands.publish(nodeChannel(node), JSON.stringify(notices)).then(
      heardBy => {
        if (heardBy === 0) onDeaf(node)
      },
      () => {},
    )
  }

  #heard(text: string): void {
    const notices: unknown = parse(text, null, { protoAction: 'remove', constructorAction: 'remove' })
    if (!Array.isArray(notices)) return
    for (const notice of notices) if (isNotice(notice)) this.#options.hear(notice)
  }

  #watch(): void {
    if (this.#isClosed) return
    this.#timer = setTimeout(() => void this.#ping(), pingMs)
    this.#timer.unref()
  }

  async #ping(): Promise<void> {
    const { subscriber } = this.#options
    try {
      if (subscriber.status === 'ready') await subscriber.ping()
    } catch {
      if (!this.#isClosed) subscriber.disconnect(true)
    } finally {
      this.#watch()
    }
  }
}

const kinds: ReadonlySet<unknown> = new Set<Notice['kind']>(['appended', 'replaced', 'keys-low', 'revoked'])

/** Only nodes write to these channels; a kind that a newer one sends is passed over. */
const isNotice = (value: unknown): value is Notice =>
  typeof value === 'object' && value !== null && 'kind' in value && kinds.has(value.kind)
