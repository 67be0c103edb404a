import { parse } from 'secure-json-parse'
import type { NodeId } from '../../ids.ts'
import type { Notice } from '../../store.ts'
import { nodeChannel } from '../connection/keys.ts'
import type { Subscription } from '../connection/subscription.ts'

type NodeChannelOptions = {
  own: NodeId
  /** Returns the number of subscribers that received it. */
  publish: (channel: string, text: string) => Promise<number>
  subscription: Subscription
  /** Never throws. */
  notifySelf: (notice: Notice) => void
  /** Called when a publish to this node reached no subscriber. */
  onUnreachable: (node: NodeId) => void
}

/** Most notices waiting to be sent to one node, characters. Above it, one check of every inbox is cheaper. */
const maxWaiting = 4_194_304

/** `hasLost`: hints were dropped, and the node gets `resumed` once the queue is empty. */
type Outbox = { waiting: number; hasLost: boolean }

/**
 * Notices between nodes: Redis pub/sub with one channel per node. They may be lost; after a reconnect the node gets
 * `resumed`.
 */
export class NodeChannel {
  readonly #options: NodeChannelOptions
  readonly #outboxes = new Map<NodeId, Outbox>()

  constructor(options: NodeChannelOptions) {
    this.#options = options
  }

  async start(): Promise<void> {
    const { subscription, own, notifySelf } = this.#options
    const resumed = () => notifySelf({ kind: 'resumed' })
    await subscription.start(nodeChannel(own), text => this.#receive(text), resumed)
  }

  close(): void {
    this.#options.subscription.close()
  }

  /**
   * Sends notices to a node in one publish, or to this one directly. Never throws or waits: lost notices are found by
   * reading.
   */
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

  /**
   * Publishes wait in this process while Redis is slow, up to a bound. Once they are sent, the node learns if some are
   * missing.
   */
  #publish(node: NodeId, outbox: Outbox, text: string): void {
    const { publish, notifySelf, onUnreachable } = this.#options
    outbox.waiting += text.length
    const done = () => {
      outbox.waiting -= text.length
      if (outbox.waiting > 0) return
      if (outbox.hasLost) this.#publish(node, this.#renew(node), JSON.stringify([{ kind: 'resumed' }]))
      else if (this.#outboxes.get(node) === outbox) this.#outboxes.delete(node)
    }
    publish(nodeChannel(node), text).then(
      subscribers => {
        if (subscribers === 0) {
          onUnreachable(node)
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

  #receive(text: string): void {
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

/** Only nodes write to these channels. A node ignores kinds that only newer nodes know. */
const isNotice = (value: unknown): value is Notice =>
  typeof value === 'object' && value !== null && 'kind' in value && kinds.has(value.kind)
