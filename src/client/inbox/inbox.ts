import type { Username } from '../../protocol/names.ts'
import { Signal, sleep } from '../../util/signal.ts'
import type { ClientContext } from '../connection/client-context.ts'
import { InboxRecord, type MessageView, type ReceivedMessage, toMessage } from '../messages/message.ts'
import { isShown, readStanding } from '../messages/standing.ts'
import { keys } from '../records/keys.ts'
import { BackPressure, maxBacklog } from '../shares/back-pressure.ts'
import { countRead, loadUnread, UnreadRecord, unreadMessages } from '../shares/unread.ts'
import { noteReceipt, type Receipts } from './receipts.ts'
import type { Moved } from './withheld.ts'

/** How often a waiting client counts again what other processes have acknowledged, ms. */
const recheckMs = 1_000

/** The messages that a reader gets: a request handler takes the requests, and `receive` takes the rest. */
type InboxFilter = 'all' | 'requests' | 'rest'

/** A message that a reader is working on. After `giveBack` it is shown again. */
export type Taken = { message: ReceivedMessage; giveBack(): void }

/**
 * The messages that the application has not acknowledged. They are read from the state one by one, so that a slow
 * application costs no memory. A message that a reader has taken and not given back is outstanding.
 */
export class Inbox {
  /** Notifies readers that there may be a message to take. */
  readonly arrived = new Signal()

  readonly #context: ClientContext
  readonly #receipts: Receipts
  readonly #outstanding = new Set<string>()
  /** The new keys of messages that were moved while they were outstanding, by the key that their reader has. */
  readonly #moved = new Map<string, string>()
  /** The newest message at the start of this process. Messages up to it may have been shown by another process. */
  #newest: string | undefined
  #handlers = 0
  /** The key of the last message that each filter has passed. */
  readonly #cursors = new Map<InboxFilter, string>()
  /** Serialises `take`: two calls must not get the same message. */
  #turn: Promise<unknown> = Promise.resolve()
  /** The number of loops that take messages. */
  #readers = 0
  /** Set while the inbox is full. */
  #pressure: BackPressure | undefined
  readonly #shrunk = new Signal()

  constructor(context: ClientContext, receipts: Receipts) {
    this.#context = context
    this.#receipts = receipts
  }

  async open(): Promise<void> {
    const newest = await this.#context.store.read(tx => tx.list(keys.inboxes(), { reverse: true, limit: 1 }))
    this.#newest = newest[0]?.[0]
  }

  /** A message was saved to the inbox. */
  stored(): void {
    this.arrived.notify()
  }

  addReader(): void {
    this.#readers += 1
  }

  removeReader(): void {
    this.#readers -= 1
    this.#shrunk.notify()
  }

  /** True while the application takes its messages fast enough that the client waits for it. */
  get isTaking(): boolean {
    return this.#readers > 0 && !this.#pressure?.isTooSlow(performance.now())
  }

  /**
   * Waits until more messages may be accepted from the node: at once if the application takes no messages, because then
   * the shares of the senders bound what is stored.
   */
  async hasRoom(signal: AbortSignal): Promise<void> {
    while (this.#readers > 0) {
      const { version } = this.#shrunk
      const waiting = await this.#countMessages()
      if (waiting < maxBacklog / 2) this.#pressure = undefined
      if (waiting < maxBacklog) return
      this.#pressure ??= new BackPressure(performance.now())
      if (!this.isTaking) return
      const enough = new AbortController()
      const recheck = sleep(recheckMs, AbortSignal.any([signal, enough.signal]))
      await Promise.race([this.#shrunk.after(version, signal), recheck])
      enough.abort()
      recheck.catch(() => {})
    }
  }

  async #countMessages(): Promise<number> {
    const { store, now } = this.#context
    const known = await store.read(async tx => {
      const bytes = await tx.get(keys.unread())
      return bytes && UnreadRecord.decode(bytes)
    })
    return unreadMessages(known ?? (await store.transaction(tx => loadUnread(tx, now()))))
  }

  /** A message was removed without `ack`: answered, withdrawn by its sender, or withheld with its key. */
  removed(key: string): void {
    this.#outstanding.delete(key)
    this.#shrunk.notify()
  }

  /** Messages got new keys. Their readers go on under the keys that they have. */
  moved(moves: readonly Moved[]): void {
    const readers = new Map([...this.#moved].map(([key, now]) => [now, key]))
    for (const [before, now] of moves) {
      if (!this.#outstanding.delete(before)) continue
      this.#outstanding.add(now)
      this.#moved.set(readers.get(before) ?? before, now)
    }
  }

  /** From now on requests go to a request handler, not to `receive`. */
  addHandler(): void {
    this.#handlers += 1
  }

  removeHandler(): void {
    this.#handlers -= 1
    if (this.#handlers === 0) this.rewind()
  }

  /** The filter of `receive`. */
  get filter(): InboxFilter {
    return this.#handlers === 0 ? 'all' : 'rest'
  }

  /** Takes the oldest matching message that is not outstanding, if there is one. */
  take(filter: InboxFilter = this.filter): Promise<Taken | undefined> {
    const taken = this.#turn.then(() => this.#take(filter))
    this.#turn = taken.catch(() => {})
    return taken
  }

  /** Makes readers start again at the oldest message: after a decision on a changed key, or after `giveBack`. */
  rewind(): void {
    this.#cursors.clear()
    this.arrived.notify()
  }

  async #take(filter: InboxFilter): Promise<Taken | undefined> {
    for (;;) {
      const after = this.#cursors.get(filter) ?? keys.inboxes()
      const next = await this.#context.store.read(async tx => {
        const [entry] = await tx.list(keys.inboxes(), { after, limit: 1 })
        if (!entry) return undefined
        const record = InboxRecord.decode(entry[1])
        return { key: entry[0], record, standing: await readStanding(tx, this.#context, record) }
      })
      if (!next) return undefined
      this.#cursors.set(filter, next.key)
      const { key, record, standing } = next
      if (!isShown(standing) || this.#outstanding.has(key)) continue
      const view = toMessage(record, standing)
      if (filter !== 'all' && (filter === 'requests') !== (view.kind === 'request')) continue
      this.#outstanding.add(key)
      const message = this.#show(key, view)
      return { message, giveBack: () => this.#giveBack(key) }
    }
  }

  #show(key: string, view: MessageView): ReceivedMessage {
    const repeated = this.#newest !== undefined && key <= this.#newest
    return { ...view, ...(repeated && { repeated }), ack: () => this.ack(key, view.from, view.id) }
  }

  /**
   * Acknowledges the message that was shown with the key `shownKey`: it is deleted, and its sender gets a `read`
   * receipt.
   */
  async ack(shownKey: string, from: Username, id: string): Promise<void> {
    const key = this.#moved.get(shownKey) ?? shownKey
    const first = await this.#context.store.transaction(async tx => {
      const value = await tx.get(key)
      if (!value) return false
      await countRead(tx, this.#context.now(), value)
      tx.delete(key)
      noteReceipt(tx, from, id, 'read')
      return true
    })
    this.#outstanding.delete(key)
    this.#moved.delete(shownKey)
    if (!first) return
    this.#pressure?.acknowledged(performance.now())
    this.#shrunk.notify()
    this.#receipts.schedule(from)
  }

  #giveBack(shownKey: string): void {
    const key = this.#moved.get(shownKey) ?? shownKey
    this.#moved.delete(shownKey)
    if (this.#outstanding.delete(key)) this.rewind()
  }
}
