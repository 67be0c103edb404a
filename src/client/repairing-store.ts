import { concatBytes, equalBytes } from '../util/bytes.ts'
import type { Emitter } from '../util/emitter.ts'
import type { ClientEvents } from './base/events.ts'
import { OtherKeyRecord } from './inbox/other-key-limit.ts'
import { AskedRecord, OpenRecord } from './inbox/request-records.ts'
import { InboxRecord } from './messages/message.ts'
import { ConfirmationRecord, noteUnreadable } from './outbox/confirmation-record.ts'
import { OutboxLeaseRecord } from './outbox/outbox-lease.ts'
import { OutboxRecord } from './outbox/outbox-record.ts'
import { SendResultRecord } from './outbox/send-result.ts'
import { decodeStoredPeer } from './records/crypto-records.ts'
import { keys, nameIn } from './records/keys.ts'
import { UndecryptableRecord } from './records/undecryptable-record.ts'
import { requestReset, SentResetsRecord, StrangerResetsRecord } from './sessions/pending-reset.ts'
import { QuarantineIndex } from './shares/quarantine-index.ts'
import { UnreadRecord } from './shares/unread.ts'
import { UnreadableRecordError } from './state/state-error.ts'
import type { ListOptions, StateEntry, StateReader, StateStore, StateTransaction } from './state/state-store.ts'

type Kind = {
  decode: (bytes: Uint8Array) => unknown
  /** What the loss of the record means, and what the user can do. */
  text: (peer: string) => string
  /** Repairs what the loss leaves behind, in the transaction that sets the record aside. */
  repair?: (tx: StateTransaction, key: string) => Promise<void> | void
}

/** The kinds of records that belong to one peer or to one message: the agent works without a single one of them. */
const kinds: Record<string, Kind> = {
  peer: {
    decode: decodeStoredPeer,
    text: peer =>
      `what was known about ${peer} (its key, trust and sessions) is damaged: nothing is sent to ${peer}, and its ` +
      `messages wait. Restore the state from a backup, or run "aimessage repair ${peer}", then compare its key again`,
  },
  outbox: {
    decode: OutboxRecord.decode,
    text: peer => `a message to ${peer} that waited to be sent is damaged and will not be sent: send it again`,
  },
  sent: {
    decode: OutboxRecord.decode,
    text: peer =>
      `the copy of a message sent to ${peer} is damaged: it cannot be sent again, ask ${peer} if it arrived`,
    repair: (tx, key) => noteUnreadable(tx, key),
  },
  inbox: {
    decode: InboxRecord.decode,
    text: () => 'a received message is damaged and cannot be shown: ask the agents that wrote lately to send it again',
  },
  asked: {
    decode: AskedRecord.decode,
    text: peer => `the record of a request to ${peer} is damaged: its reply arrives as a message`,
  },
  answer: {
    decode: InboxRecord.decode,
    text: peer => `a reply of ${peer} is damaged: send the request again`,
  },
  open: {
    decode: OpenRecord.decode,
    text: peer => `the record of a request of ${peer} is damaged and it cannot be answered: ${peer} can send it again`,
  },
  pump: { decode: OutboxLeaseRecord.decode, text: () => 'the lease of an outbox is damaged; nothing is lost' },
  outcome: { decode: SendResultRecord.decode, text: () => "a node's answer to a message that was sent is damaged" },
  confirmed: { decode: ConfirmationRecord.decode, text: () => 'the receipt for a message is damaged' },
  aside: {
    decode: UndecryptableRecord.decode,
    text: peer => `a quarantined message of ${peer} is damaged: ${peer} is asked to send it again`,
    repair: async (tx, key) => {
      await requestReset(tx, nameIn(key), 'undecryptable')
    },
  },
  quarantine: { decode: QuarantineIndex.decode, text: () => 'the list of the quarantine is damaged and is made again' },
  unread: { decode: UnreadRecord.decode, text: () => 'the count of unread messages is damaged and is made again' },
  withheld: {
    decode: InboxRecord.decode,
    text: peer => `a message of ${peer} that came under a key that you have rejected is damaged`,
  },
  tried: { decode: OtherKeyRecord.decode, text: () => 'the count of first messages under other keys starts at 0' },
  strangers: {
    decode: StrangerResetsRecord.decode,
    text: () => 'the count of resets for strangers is damaged and starts at 0',
  },
  resets: {
    decode: SentResetsRecord.decode,
    text: peer => `the count of resets for ${peer} is damaged and starts at 0`,
  },
}

/** Kinds without a codec, whose readers take any bytes. An encrypted store can still find such a record damaged. */
const small: Kind = {
  decode: () => {
    throw new TypeError('a record without a codec is never put back')
  },
  text: () => 'a small record is damaged; the client works without it',
}
const smallKinds = [
  'seen',
  'body',
  'receipt',
  'owed',
  'looked',
  'card',
  'swept',
  'loss',
  'contact',
  'refused',
  'reserved',
  'restored',
]

/** The number of records set aside during one operation. More means that the state as a whole is damaged. */
const maxRepairs = 10_000

/**
 * A store in which a damaged record costs only itself: the record moves to `damaged/KEY` and is reported once, and the
 * operation that met it runs again. A record of the whole agent (`account`, `prekeys`, …) fails every operation that
 * needs it, as before. `work` of a transaction may therefore run more than once.
 */
export class RepairingStore implements StateStore {
  readonly #store: StateStore
  readonly #events: Emitter<ClientEvents>

  constructor(store: StateStore, events: Emitter<ClientEvents>) {
    this.#store = store
    this.#events = events
  }

  /** Puts records back that a newer release wrote, an older one set aside, and this one can read. */
  async open(): Promise<void> {
    const known = await this.#store.read(tx => tx.list(keys.damageds(), { limit: 1 })).catch(() => [])
    if (known.length > 0) await this.transaction(restoreReadable)
  }

  transaction<T>(work: (tx: StateTransaction) => Promise<T> | T): Promise<T> {
    return this.#repairing(seen => this.#store.transaction(tx => work(new WatchedTransaction(tx, seen))))
  }

  read<T>(work: (tx: StateReader) => Promise<T> | T): Promise<T> {
    return this.#repairing(seen => this.#store.read(tx => work(new WatchedReader(tx, seen))))
  }

  onChange(handler: () => void): () => void {
    return this.#store.onChange(handler)
  }

  close(): Promise<void> {
    return this.#store.close()
  }

  async #repairing<T>(run: (seen: SeenValues) => Promise<T>): Promise<T> {
    for (let repairs = 0; ; repairs += 1) {
      const seen: SeenValues = new Map()
      try {
        return await run(seen)
      } catch (error) {
        if (!(error instanceof UnreadableRecordError) || repairs === maxRepairs) throw error
        const key = error.key ?? seen.get(error.bytes())
        if (key === undefined || !kindOf(key)) throw error
        // What a store could not open must never be taken for a value: the first byte makes it unreadable for good.
        const bytes = error.key === undefined ? error.bytes() : concatBytes(Uint8Array.of(0), error.bytes())
        await this.#setAside(key, bytes)
      }
    }
  }

  async #setAside(key: string, bytes: Uint8Array): Promise<void> {
    const kind = kindOf(key)
    const isKnown = await this.transaction(async tx => {
      // Operations that run at the same time find the same record.
      const before = await tx.get(keys.damaged(key))
      tx.delete(key)
      tx.put(keys.damaged(key), bytes)
      await kind?.repair?.(tx, key)
      return before !== undefined && equalBytes(before, bytes)
    })
    if (isKnown) return
    const peer = key.startsWith(keys.inboxes()) ? undefined : peerOf(key)
    const text = kind?.text(peer ?? '') ?? ''
    this.#events.emit('unreadable', { record: key, ...(peer !== undefined && { peer }), reason: text })
  }
}

function kindOf(key: string): Kind | undefined {
  const name = key.split('/')[0] ?? ''
  return smallKinds.includes(name) ? small : Object.hasOwn(kinds, name) ? kinds[name] : undefined
}

const withName = new Set([
  'peer',
  'outbox',
  'sent',
  'asked',
  'answer',
  'open',
  'pump',
  'aside',
  'withheld',
  'tried',
  'seen',
  'receipt',
  'owed',
])
const peerOf = (key: string): string | undefined => (withName.has(key.split('/')[0] ?? '') ? nameIn(key) : undefined)

async function restoreReadable(tx: StateTransaction): Promise<void> {
  for (const [damaged, bytes] of await tx.list(keys.damageds())) {
    const key = damaged.slice(keys.damageds().length)
    if ((await tx.get(key)) !== undefined || !isReadable(key, bytes)) continue
    tx.put(key, bytes)
    tx.delete(damaged)
  }
}

function isReadable(key: string, bytes: Uint8Array): boolean {
  const kind = kindOf(key)
  try {
    kind?.decode(bytes)
    return kind !== undefined
  } catch {
    return false
  }
}

/** The key of each value that an operation has read, to name a value that no codec can decode. */
type SeenValues = Map<Uint8Array, string>

class WatchedReader implements StateReader {
  readonly #tx: StateReader
  readonly #seen: SeenValues

  constructor(tx: StateReader, seen: SeenValues) {
    this.#tx = tx
    this.#seen = seen
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    const value = await this.#tx.get(key)
    if (value) this.#seen.set(value, key)
    return value
  }

  async list(prefix: string, options?: ListOptions): Promise<StateEntry[]> {
    const entries = await this.#tx.list(prefix, options)
    for (const [key, value] of entries) this.#seen.set(value, key)
    return entries
  }
}

class WatchedTransaction extends WatchedReader implements StateTransaction {
  readonly #tx: StateTransaction

  constructor(tx: StateTransaction, seen: SeenValues) {
    super(tx, seen)
    this.#tx = tx
  }

  put(key: string, value: Uint8Array): void {
    this.#tx.put(key, value)
  }

  delete(key: string): void {
    this.#tx.delete(key)
  }
}
