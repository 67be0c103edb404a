import { cryptoLimits } from '../../crypto/limits.ts'
import { encodeReceipt } from '../../crypto/messages/content.ts'
import type { Username } from '../../protocol/names.ts'
import { decodeBase64Url, encodeBase64Url, isBase64Url } from '../../util/bytes.ts'
import type { ClientContext } from '../connection/client-context.ts'
import type { ReceiptState } from '../outbox/confirmation-record.ts'
import type { Outbox } from '../outbox/outbox.ts'
import { enqueue } from '../outbox/outbox-queue.ts'
import { keys, nameIn } from '../records/keys.ts'
import type { StateTransaction } from '../state/state-store.ts'

/** How long receipts are collected, ms: for a message that is read within this time one `read` receipt is enough. */
const gatherMs = 200
const maxIds = cryptoLimits.maxIdsPerContent
const states = { delivered: 1, read: 2 } as const

/** Records a receipt to be sent, in the transaction that delivers or acknowledges the message. */
export function noteReceipt(tx: StateTransaction, from: Username, id: string, state: ReceiptState): void {
  tx.put(keys.receipt(from, id), Uint8Array.of(states[state]))
}

/** Returns the id in a key of the form `receipt/NAME/ID`. */
const messageIdIn = (key: string): string => key.split('/')[2] ?? ''

/** A damaged record counts as `delivered`, which is true of every message that has one. */
const stateOf = (value: Uint8Array): ReceiptState => (value[0] === states.read ? 'read' : 'delivered')

/** Sends receipts, as encrypted contents. The state keeps them until they are in the outbox. */
export class Receipts {
  readonly #context: ClientContext
  readonly #outbox: Outbox
  readonly #due = new Set<Username>()
  #timer: ReturnType<typeof setTimeout> | undefined
  #flushing: Promise<void> = Promise.resolve()

  constructor(context: ClientContext, outbox: Outbox) {
    this.#context = context
    this.#outbox = outbox
  }

  /** Sends the receipts for a peer after a short delay. */
  schedule(peer: Username): void {
    this.#due.add(peer)
    this.#timer ??= setTimeout(() => void this.flush(), gatherMs)
  }

  /** Schedules the receipts that an earlier process left. */
  async resume(): Promise<void> {
    let after = keys.receipts()
    for (;;) {
      const [entry] = await this.#context.store.read(tx => tx.list(keys.receipts(), { after, limit: 1 }))
      if (!entry) return
      const peer = nameIn(entry[0])
      this.schedule(peer)
      after = `${keys.receiptsOf(peer)}~`
    }
  }

  /** Puts all scheduled receipts into the outbox now. */
  flush(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const peers = [...this.#due]
    this.#due.clear()
    this.#flushing = this.#flushing.then(async () => {
      for (const peer of peers) await this.#flushPeer(peer).catch(() => {})
    })
    return this.#flushing
  }

  async #flushPeer(peer: Username): Promise<void> {
    const more = await this.#context.store.transaction(async tx => {
      const noted = await tx.list(keys.receiptsOf(peer), { limit: maxIds })
      for (const [key] of noted) tx.delete(key)
      // A peer with a changed key gets nothing until the user has decided about the key.
      if ((await this.#context.loadPeer(tx, peer)).trust === 'changed') return false
      for (const state of ['delivered', 'read'] as const) {
        const ids = noted
          .filter(([key, value]) => stateOf(value) === state && isBase64Url(messageIdIn(key)))
          .map(([key]) => decodeBase64Url(messageIdIn(key)))
        if (ids.length === 0) continue
        const id = encodeBase64Url(this.#context.random(16))
        await enqueue(tx, this.#context, peer, { id, kind: 'receipt', body: encodeReceipt({ state, ids }) })
      }
      return noted.length === maxIds
    })
    this.#outbox.flush(peer)
    if (more) this.schedule(peer)
  }
}
