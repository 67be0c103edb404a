import Type, { type Static } from 'typebox'
import { parseUsername, type Username } from '../protocol/names.ts'
import { decodeBase64Url, decodeUtf8 } from '../util/bytes.ts'
import { Signal } from '../util/signal.ts'
import type { Agent } from './agent.ts'
import { noteReceipt, type Receipts } from './receipts.ts'
import { keys } from './record-keys.ts'
import { recordCodec } from './records.ts'
import { loadPeer } from './vault.ts'

/** A message that was decrypted and not acknowledged by the application yet. */
export const InboxRecord = recordCodec(
  'inbox',
  Type.Object({
    id: Type.String(),
    from: Type.String(),
    /** Plaintext, base64url. */
    body: Type.String(),
    sentAt: Type.Integer(),
  }),
)
export type InboxRecord = Static<typeof InboxRecord.schema>

/** What the application sees: docs/E2E.md section 13. */
export type ReceivedMessage = {
  /** `msg_id`, base64url. */
  id: string
  from: Username
  /** Whether the sender's safety number was compared, or its key is the one met first. */
  verified: 'verified' | 'first-use'
  kind: 'application'
  body: Uint8Array
  /** `body` where it is UTF-8. */
  text: string | undefined
  /** The sender's clock, ms since 1970. */
  sentAt: number
  /** It may have been shown before, by a process that ended before it acknowledged. */
  repeated?: true
  /** It is never shown again. Asking the iterator for the next message does the same. */
  ack(): Promise<void>
}

/** Unacknowledged messages on this side, beyond which the node keeps the rest. */
const maxBacklog = 1_000

/** A message in somebody's hand; given back, it is shown again. */
export type Taken = { message: ReceivedMessage; giveBack(): void }

/**
 * What waits for the application, read from the state one by one, so that a slow application costs no memory. Messages in
 * hand are `outstanding`; one that is given back is shown again.
 */
export class Inbox {
  /** Something may be there to read. */
  readonly arrived = new Signal()

  readonly #agent: Agent
  readonly #receipts: Receipts
  readonly #outstanding = new Set<string>()
  /** What is in the state when this process starts may have been shown by another. */
  #newest: string | undefined
  #cursor: string = keys.inboxes()
  #turn: Promise<unknown> = Promise.resolve()
  /** How many messages the application has still to acknowledge, about. */
  #backlog = 0
  readonly #shrunk = new Signal()

  constructor(agent: Agent, receipts: Receipts) {
    this.#agent = agent
    this.#receipts = receipts
  }

  async open(): Promise<void> {
    const newest = await this.#agent.store.read(tx => tx.list(keys.inboxes(), { reverse: true, limit: maxBacklog }))
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

  /** The oldest message that nobody has in hand, if there is one. */
  take(): Promise<Taken | undefined> {
    const taken = this.#turn.then(() => this.#take())
    this.#turn = taken.catch(() => {})
    return taken
  }

  /** Looks again at what was passed over: after a decision on a changed key, or when a message was given back. */
  rewind(): void {
    this.#cursor = keys.inboxes()
    this.arrived.notify()
  }

  async #take(): Promise<Taken | undefined> {
    for (;;) {
      const next = await this.#agent.store.read(async tx => {
        const [entry] = await tx.list(keys.inboxes(), { after: this.#cursor, limit: 1 })
        if (!entry) return undefined
        const record = InboxRecord.decode(entry[1])
        const { trust } = await loadPeer(tx, parseUsername(record.from), this.#agent.self().domain)
        return { key: entry[0], record, trust }
      })
      if (!next) return undefined
      this.#cursor = next.key
      const { key, record, trust } = next
      if (trust === 'changed' || this.#outstanding.has(key)) continue
      this.#outstanding.add(key)
      const message = this.#show(key, record, trust === 'verified' ? 'verified' : 'first-use')
      return { message, giveBack: () => this.#giveBack(key) }
    }
  }

  #show(key: string, record: InboxRecord, verified: ReceivedMessage['verified']): ReceivedMessage {
    const from = parseUsername(record.from)
    const body = decodeBase64Url(record.body)
    const repeated = this.#newest !== undefined && key <= this.#newest
    return {
      id: record.id,
      from,
      verified,
      kind: 'application',
      body,
      text: textOf(body),
      sentAt: record.sentAt,
      ...(repeated && { repeated }),
      ack: () => this.#ack(key, from, record.id),
    }
  }

  async #ack(key: string, from: Username, id: string): Promise<void> {
    const first = await this.#agent.store.transaction(async tx => {
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

function textOf(body: Uint8Array): string | undefined {
  try {
    return decodeUtf8(body)
  } catch {
    return undefined
  }
}
