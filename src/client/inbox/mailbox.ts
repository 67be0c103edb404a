import { parseUsername } from '../../protocol/names.ts'
import { startTimer } from '../../util/timer.ts'
import type { ClientContext } from '../connection/client-context.ts'
import { InboxRecord, type MessageView, toMessage } from '../messages/message.ts'
import { keys, orderIn } from '../records/keys.ts'
import type { Inbox } from './inbox.ts'
import type { Attendance } from './listener-lease.ts'

/** A page of what waits. `cursor` is behind all that was looked at; `more` says that there is something behind it. */
export type MailboxPage = { messages: MessageView[]; cursor: number; more: boolean }
export type MailboxQuery = { after?: number | undefined; limit?: number; from?: string | undefined }
export type WaitOptions = MailboxQuery & {
  /** How long, ms. */
  waitMs: number
  signal?: AbortSignal
}

const defaultLimit = 50
/** Records of one read, so that nobody else waits long. */
const stepSize = 100

type Parts = {
  context: Pick<ClientContext, 'store' | 'closing' | 'loadPeer'>
  inbox: Pick<Inbox, 'arrived' | 'ack'>
  attendance: Pick<Attendance, 'attend'>
}
type Entry = { key: string; order: number; record: InboxRecord; trust: string }

/**
 * Unacknowledged messages for an application that looks, and comes back: nothing is in anybody's hand, and nothing is acknowledged but by `ack`.
 * Whoever waits here wakes for the same messages that `receive` yields.
 */
export class Mailbox {
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** What waits, oldest first. @param query `after` is a page's cursor. */
  async list({ after = 0, limit = defaultLimit, from }: MailboxQuery = {}): Promise<MailboxPage> {
    const messages: MessageView[] = []
    let cursor = after
    for (;;) {
      const entries = await this.#read(cursor)
      for (const entry of entries) {
        const fits = entry.trust !== 'changed' && (from === undefined || entry.record.from === from)
        if (fits && messages.length === limit) return { messages, cursor, more: true }
        if (fits) messages.push(show(entry))
        cursor = entry.order
      }
      if (entries.length < stepSize) return { messages, cursor, more: false }
    }
  }

  /** One message that waits. */
  async get(id: string): Promise<MessageView | undefined> {
    const entry = await this.#find(id)
    return entry && show(entry)
  }

  /** Acknowledges messages for good. Answers how many of them waited. */
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

  /**
   * Waits until something is there behind `after`, and answers with it; with an empty page when the time is over. It acknowledges nothing.
   * @throws the signal's reason, {ClosedError}, what made listening pointless.
   */
  async wait({ waitMs, signal, ...query }: WaitOptions): Promise<MailboxPage> {
    const { context, inbox, attendance } = this.#parts
    const end = new AbortController()
    const stop = AbortSignal.any([end.signal, context.closing, ...(signal ? [signal] : [])])
    const wake = () => inbox.arrived.notify()
    let isOver = waitMs <= 0
    const timer = startTimer(waitMs, () => {
      isOver = true
      wake()
    })
    const stopWatching = context.store.onChange(wake)
    const attending = attendance.attend(stop).catch(error => end.abort(error))
    try {
      for (;;) {
        stop.throwIfAborted()
        const { version } = inbox.arrived
        const page = await this.list(query)
        if (page.messages.length > 0 || isOver) return page
        await inbox.arrived.after(version, stop)
      }
    } finally {
      timer.cancel()
      stopWatching()
      end.abort()
      await attending
    }
  }

  #read(after: number): Promise<Entry[]> {
    const { context } = this.#parts
    return context.store.read(async tx => {
      const entries: Entry[] = []
      for (const [key, bytes] of await tx.list(keys.inboxes(), { after: keys.inbox(after), limit: stepSize })) {
        const record = InboxRecord.decode(bytes)
        const { trust } = await context.loadPeer(tx, parseUsername(record.from))
        entries.push({ key, order: orderIn(key), record, trust })
      }
      return entries
    })
  }

  async #find(id: string): Promise<Entry | undefined> {
    for (let after = 0; ; ) {
      const entries = await this.#read(after)
      const found = entries.find(({ record, trust }) => record.id === id && trust !== 'changed')
      const last = entries.at(-1)
      if (found || !last || entries.length < stepSize) return found
      after = last.order
    }
  }
}

const show = ({ record, trust }: Entry): MessageView =>
  toMessage(record, trust === 'verified' ? 'verified' : 'first-use')
