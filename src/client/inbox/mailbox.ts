import { parseUsername } from '../../protocol/names.ts'
import { startTimer } from '../../util/timer.ts'
import { abortSignal, duration, object, optional, options, text, texts, whole } from '../base/arguments.ts'
import { checkMethods } from '../base/checked-methods.ts'
import type { ClientContext } from '../connection/client-context.ts'
import { InboxRecord, type MessageView, toMessage } from '../messages/message.ts'
import { isShown, readStanding, type Standing } from '../messages/standing.ts'
import { keys, orderIn } from '../records/keys.ts'
import { loadUnread, UnreadRecord } from '../shares/unread.ts'
import type { Inbox } from './inbox.ts'
import type { ListenerLease } from './listener-lease.ts'
import { listWithheld, type Withheld } from './withheld.ts'

/**
 * A page of unacknowledged messages. `cursor` is the position of the last message read; `more` is true if others
 * follow.
 */
export type MailboxPage = { messages: MessageView[]; cursor: number; more: boolean }
export type MailboxQuery = {
  after?: number | undefined
  limit?: number
  from?: string | undefined
  /** Only messages that answer the message with this id. */
  re?: string | undefined
}
export type WaitOptions = MailboxQuery & {
  /** The longest wait, ms. */
  waitMs: number
  signal?: AbortSignal
}

const defaultLimit = 50
/** The number of records in one read, so that other operations on the state do not wait long. */
const stepSize = 100

type MailboxContext = {
  context: Pick<ClientContext, 'store' | 'closing' | 'loadPeer' | 'now'>
  inbox: Pick<Inbox, 'arrived' | 'ack'>
  listenerLease: Pick<ListenerLease, 'keepListening'>
}
type Entry = { key: string; order: number; record: InboxRecord; standing: Standing }

/**
 * The unacknowledged messages, for an application that polls. Reading does not take messages from `receive`, and only
 * `ack` acknowledges them.
 */
export class Mailbox {
  readonly #parts: MailboxContext

  /** @internal */
  constructor(parts: MailboxContext) {
    this.#parts = parts
  }

  /**
   * Lists unacknowledged messages, oldest first.
   * @param query `after` is the cursor of the page before
   */
  async list({ after = 0, limit = defaultLimit, from, re }: MailboxQuery = {}): Promise<MailboxPage> {
    const messages: MessageView[] = []
    let cursor = after
    for (;;) {
      const entries = await this.#read(cursor)
      for (const entry of entries) {
        const view = from === undefined || entry.record.from === from ? show(entry) : undefined
        const shown = re === undefined || view?.re === re ? view : undefined
        if (shown && messages.length === limit) return { messages, cursor, more: true }
        if (shown) messages.push(shown)
        cursor = entry.order
      }
      if (entries.length < stepSize) return { messages, cursor, more: false }
    }
  }

  /** Returns an unacknowledged message; undefined if there is none with this id. */
  async get(id: string): Promise<MessageView | undefined> {
    const entry = await this.#find(id)
    return entry && show(entry)
  }

  /** Acknowledges messages. Returns how many of them were unacknowledged. */
  async ack(ids: readonly string[]): Promise<number> {
    let acked = 0
    for (const id of ids) {
      const entry = await this.#find(id)
      if (!entry) continue
      await this.#parts.inbox.ack(entry.key, parseUsername(entry.record.from), id)
      acked += 1
    }
    return acked
  }

  /** Returns the number of unacknowledged messages and requests. */
  async unread(): Promise<number> {
    const { store, now } = this.#parts.context
    const known = await store.read(tx => tx.get(keys.unread()))
    const { senders } = known ? UnreadRecord.decode(known) : await store.transaction(tx => loadUnread(tx, now()))
    return Object.values(senders).reduce((sum, { messages, requests }) => sum + messages.count + requests.count, 0)
  }

  /** Lists what is not shown because of the key that it came under, by peer and key. */
  withheld(): Promise<Withheld[]> {
    return listWithheld(this.#parts.context)
  }

  /**
   * Returns the messages behind `after` as soon as there are some, and an empty page after `waitMs`. Listens meanwhile.
   * @throws {ClosedError} the signal's reason; the error that ended listening for good
   */
  async wait({ waitMs, signal, ...query }: WaitOptions): Promise<MailboxPage> {
    const { context, inbox, listenerLease } = this.#parts
    const end = new AbortController()
    const stop = AbortSignal.any([end.signal, context.closing, ...(signal ? [signal] : [])])
    const wake = () => inbox.arrived.notify()
    let isOver = waitMs <= 0
    const timer = startTimer(waitMs, () => {
      isOver = true
      wake()
    })
    const stopWatching = context.store.onChange(wake)
    const listening = listenerLease.keepListening(stop).catch(error => end.abort(error))
    try {
      return await inbox.arrived.until(async () => {
        stop.throwIfAborted()
        const page = await this.list(query)
        return page.messages.length > 0 || isOver ? page : undefined
      }, stop)
    } finally {
      timer.cancel()
      stopWatching()
      end.abort()
      await listening
    }
  }

  #read(after: number): Promise<Entry[]> {
    const { context } = this.#parts
    return context.store.read(async tx => {
      const entries: Entry[] = []
      for (const [key, bytes] of await tx.list(keys.inboxes(), { after: keys.inbox(after), limit: stepSize })) {
        const record = InboxRecord.decode(bytes)
        const standing = await readStanding(tx, context, record)
        entries.push({ key, order: orderIn(key), record, standing })
      }
      return entries
    })
  }

  async #find(id: string): Promise<Entry | undefined> {
    for (let after = 0; ; ) {
      const entries = await this.#read(after)
      const found = entries.find(({ record, standing }) => record.id === id && isShown(standing))
      const last = entries.at(-1)
      if (found || !last || entries.length < stepSize) return found
      after = last.order
    }
  }
}

const query = { after: whole(0), limit: whole(0), from: text, re: text }
checkMethods(Mailbox, {
  list: ['promise', ['query', options(query)]],
  get: ['promise', ['id', text]],
  ack: ['promise', ['ids', texts]],
  unread: ['promise'],
  withheld: ['promise'],
  wait: [
    'promise',
    [
      'options',
      object({
        waitMs: duration,
        signal: optional(abortSignal),
        after: optional(query.after),
        limit: optional(query.limit),
        from: optional(text),
        re: optional(text),
      }),
    ],
  ],
})

const show = ({ record, standing }: Entry): MessageView | undefined =>
  isShown(standing) ? toMessage(record, standing) : undefined
