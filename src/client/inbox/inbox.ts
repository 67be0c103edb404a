import { parseUsername, type Username } from '../../protocol/names.ts'
import { Signal } from '../../util/signal.ts'
import type { ClientContext } from '../connection/client-context.ts'
import { InboxRecord, type MessageView, type ReceivedMessage, toMessage } from '../messages/message.ts'
import { keys } from '../records/keys.ts'
import { noteReceipt, type Receipts } from './receipts.ts'

/** Unacknowledged messages on this side, beyond which the node keeps the rest. */
const maxBacklog = 1_000

/** Requests go to the handler that asked for them, everything else to whoever receives. */
export type Lane = 'all' | 'requests' | 'rest'

/** A message in somebody's hand; given back, it is shown again. */
export type Taken = { message: ReceivedMessage; giveBack(): void }

/**
 * What waits for the application, read from the state one by one, so that a slow application costs no memory. Messages in
 * hand are `outstanding`; one that is given back is shown again.
 */
export class Inbox {
  /** Something may be there to read. */
  readonly arrived = new Signal()

  readonly #context: ClientContext
  readonly #receipts: Receipts
  readonly #outstanding = new Set<string>()
  /** What is in the state when this process starts may have been shown by another. */
  #newest: string | undefined
  #handlers = 0
  readonly #cursors = new Map<Lane, string>()
  #turn: Promise<unknown> = Promise.resolve()
  /** How many messages the application has still to acknowledge, about. */
  #backlog = 0
  readonly #shrunk = new Signal()

  constructor(context: ClientContext, receipts: Receipts) {
    this.#context = context
    this.#receipts = receipts
  }

  async open(): Promise<void> {
    const newest = await this.#context.store.read(tx => tx.list(keys.inboxes(), { reverse: true, limit: maxBacklog }))
    this.#newest = newest[0]?.[0]
    this.#backlog = newest.length
  }

  /** A message was saved. */
  stored(): void {
    this.#backlog += 1
    this.arrived.notify()
  }

  /** Waits until the application has worked off enough that more may be taken from the node. */
  async hasRoom(signal: AbortSignal): Promise<void> {
    while (this.#backlog >= maxBacklog) await this.#shrunk.after(this.#shrunk.version, signal)
  }

  /** Something was removed without an acknowledgement from here: answered, or withdrawn by its sender. */
  removed(key: string): void {
    this.#outstanding.delete(key)
    this.#backlog = Math.max(0, this.#backlog - 1)
    this.#shrunk.notify()
  }

  /** Somebody handles requests: they go there. */
  addHandler(): void {
    this.#handlers += 1
  }

  removeHandler(): void {
    this.#handlers -= 1
    if (this.#handlers === 0) this.rewind()
  }

  /** What whoever receives is shown. */
  get lane(): Lane {
    return this.#handlers === 0 ? 'all' : 'rest'
  }

  /** The oldest message of a lane that nobody has in hand, if there is one. */
  take(lane: Lane = this.lane): Promise<Taken | undefined> {
    const taken = this.#turn.then(() => this.#take(lane))
    this.#turn = taken.catch(() => {})
    return taken
  }

  /** Looks again at what was passed over: after a decision on a changed key, or when a message was given back. */
  rewind(): void {
    this.#cursors.clear()
    this.arrived.notify()
  }

  async #take(lane: Lane): Promise<Taken | undefined> {
    for (;;) {
      const after = this.#cursors.get(lane) ?? keys.inboxes()
      const next = await this.#context.store.read(async tx => {
        const [entry] = await tx.list(keys.inboxes(), { after, limit: 1 })
        if (!entry) return undefined
        const record = InboxRecord.decode(entry[1])
        const { trust } = await this.#context.loadPeer(tx, parseUsername(record.from))
        return { key: entry[0], record, trust }
      })
      if (!next) return undefined
      this.#cursors.set(lane, next.key)
      const { key, record, trust } = next
      if (trust === 'changed' || this.#outstanding.has(key)) continue
      const view = toMessage(record, trust === 'verified' ? 'verified' : 'first-use')
      if (lane !== 'all' && (lane === 'requests') !== (view.kind === 'request')) continue
      this.#outstanding.add(key)
      const message = this.#show(key, view)
      return { message, giveBack: () => this.#giveBack(key) }
    }
  }

  #show(key: string, view: MessageView): ReceivedMessage {
    const repeated = this.#newest !== undefined && key <= this.#newest
    return { ...view, ...(repeated && { repeated }), ack: () => this.ack(key, view.from, view.id) }
  }

  /** Acknowledges what stands at `key`, for good. */
  async ack(key: string, from: Username, id: string): Promise<void> {
    const first = await this.#context.store.transaction(async tx => {
      if (!(await tx.get(key))) return false
      tx.delete(key)
      noteReceipt(tx, from, id, 'read')
      return true
    })
    this.#outstanding.delete(key)
    if (!first) return
    this.#backlog -= 1
    this.#shrunk.notify()
    this.#receipts.schedule(from)
  }

  #giveBack(key: string): void {
    if (this.#outstanding.delete(key)) this.rewind()
  }
}
