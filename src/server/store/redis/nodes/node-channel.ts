import { parse } from 'secure-json-parse'
import type { NodeId } from '../../ids.ts'
import type { Notice } from '../../store.ts'
import { nodeChannel } from '../connection/keys.ts'
import type { Subscription } from '../connection/subscription.ts'

type NodeChannelOptions = {
  own: NodeId
  /** How many heard it. */
  publish: (channel: string, text: string) => Promise<number>
  subscription: Subscription
  /** Never throws. */
  notifySelf: (notice: Notice) => void
  /** A publish to this node reached nobody. */
  onDeaf: (node: NodeId) => void
}

/** What waits to be sent to one node, characters. More is worth less than one look at every inbox. */
const maxWaiting = 4_194_304

/** `hasLost`: hints were left out, and the node is to be told so once there is room. */
type Outbox = { waiting: number; hasLost: boolean }

/** Notices between nodes: Redis' pub/sub, one channel a node. They may be lost; a subscription that begins anew says `resumed`. */
export class NodeChannel {
  readonly #options: NodeChannelOptions
  readonly #outboxes = new Map<NodeId, Outbox>()

  constructor(options: NodeChannelOptions) {
    this.#options = options
  }

  async start(): Promise<void> {
    const { subscription, own, notifySelf } = this.#options
    const resumed = () => notifySelf({ kind: 'resumed' })
    await subscription.start(nodeChannel(own), text => this.#heard(text), resumed)
  }

  close(): void {
    this.#options.subscription.close()
  }

  /** Tells a node, as one publish; this one directly. Never throws and never waits: what is lost is found by reading. */
  notify(node: NodeId, notices: readonly Notice[]): void {
    const { own, notifySelf } = this.#options
    if (node === own) {
      for (const notice of notices) notifySelf(notice)
      return
    }
    const outbox = this.#outboxes.get(node) ?? { waiting: 0, hasLost: false }
    this.#outboxes.set(node, outbox)
    const text = JSON.stringify(notices)
    if (outbox.waiting + text.length <= maxWaiting) return this.#publish(node, outbox, text)
    outbox.hasLost = true
    notifySelf({ kind: 'unheard', why: 'queue full' })
  }

  /** While Redis is slow publishes wait in this process, bounded. Once they are through, the node hears whether some are missing. */
  #publish(node: NodeId, outbox: Outbox, text: string): void {
    const { publish, notifySelf, onDeaf } = this.#options
    outbox.waiting += text.length
    const done = () => {
      outbox.waiting -= text.length
      if (outbox.waiting > 0) return
      if (outbox.hasLost) this.#publish(node, this.#renew(node), JSON.stringify([{ kind: 'resumed' }]))
      else if (this.#outboxes.get(node) === outbox) this.#outboxes.delete(node)
    }
    publish(nodeChannel(node), text).then(
      heardBy => {
        if (heardBy === 0) {
          onDeaf(node)
          notifySelf({ kind: 'unheard', why: 'no subscriber' })
        }
        done()
      },
      () => done(),
    )
  }

  #renew(node: NodeId): Outbox {
    const outbox = { waiting: 0, hasLost: false }
    this.#outboxes.set(node, outbox)
    return outbox
  }

  #heard(text: string): void {
    const notices: unknown = parse(text, null, { protoAction: 'remove', constructorAction: 'remove' })
    if (!Array.isArray(notices)) return
    for (const notice of notices) if (isNotice(notice)) this.#options.notifySelf(notice)
  }
}

const kinds: ReadonlySet<unknown> = new Set<Notice['kind']>([
  'appended',
  'replaced',
  'deleted',
  'keys-low',
  'revoked',
  'resumed',
])

/** Only nodes write to these channels; a kind that a newer one sends is passed over. */
const isNotice = (value: unknown): value is Notice =>
  typeof value === 'object' && value !== null && 'kind' in value && kinds.has(value.kind)
