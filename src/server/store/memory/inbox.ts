import { limits } from '../../../protocol/limits.ts'
import type { Username } from '../../../protocol/names.ts'
import type { NodeId } from '../ids.ts'
import type { AppendItem, Claim, Envelope, Owner, ReadLimit, Reserved } from '../store.ts'

export type InboxLimits = {
  inboxMaxMessages: number
  inboxMaxBytes: number
  dedupeWindowMs: number
  messageTtlMs: number
}
/** The current claim of an inbox. Hints go to `node`; `until` and `returnedUpTo` limit an HTTP claim. */
export type Held = { epoch: number; owner: Owner; node: NodeId; until: number; returnedUpTo: number }

type Stored = Envelope & { expiresAt: number }
type Seen = { seq: number; fingerprint: string; at: number }
type Share = { count: number; bytes: number }
export type Appended =
  | { status: 'stored'; envelope: Stored; repeated: boolean }
  | { status: 'id_reused' }
  | { status: 'forbidden' }
  | { status: 'inbox_full' }

/** Numbers follow the clock, so that no number is used twice after the state was lost. */
const nextNumber = (last: number, nowMs: number): number => Math.max(last + 1, nowMs * 1024)

/** One user's inbox: the executable model of the Redis scripts. */
export class MemoryInbox {
  held: Held | undefined
  reserved = 0
  reservation: Reserved['reservation']
  readonly #limits: InboxLimits
  #lastSeq = 0
  #lastEpoch = 0
  #bytes = 0
  #envelopes: Stored[] = []
  readonly #shares = new Map<Username, Share>()
  readonly #seen = new Map<string, Seen>()

  constructor(inboxLimits: InboxLimits) {
    this.#limits = inboxLimits
  }

  get length(): number {
    return this.#envelopes.length
  }

  get bytes(): number {
    return this.#bytes
  }

  /** When the oldest queued envelope was stored, ms since 1970. */
  get oldestAt(): number | null {
    return this.#envelopes[0]?.sentAt ?? null
  }

  append(item: AppendItem, fingerprint: string, nowMs: number, mayWrite: boolean): Appended {
    const key = `${item.from} ${item.id}`
    const seen = this.#seen.get(key)
    if (seen && nowMs - seen.at <= this.#limits.dedupeWindowMs) return this.#repeat(item, seen, fingerprint)
    if (!mayWrite) return { status: 'forbidden' }
    if (this.#isFull(item)) this.dropExpired(nowMs)
    if (this.#isFull(item)) return { status: 'inbox_full' }
    const seq = nextNumber(this.#lastSeq, nowMs)
    const ttlMs = Math.min(item.ttlMs, this.#limits.messageTtlMs)
    const { id, from, kind, body } = item
    const envelope = { seq, prev: this.#lastSeq, id, from, kind, body, sentAt: nowMs, expiresAt: nowMs + ttlMs }
    this.#lastSeq = seq
    this.#envelopes.push(envelope)
    this.#count(envelope, 1)
    this.#remember(key, { seq, fingerprint, at: nowMs })
    return { status: 'stored', envelope, repeated: false }
  }

  #repeat({ id, from, kind, body }: AppendItem, { seq, fingerprint }: Seen, now: string): Appended {
    if (fingerprint !== now) return { status: 'id_reused' }
    const kept = this.#envelopes.find(envelope => envelope.seq === seq)
    const envelope = kept ?? { seq, prev: 0, id, from, kind, body, sentAt: 0, expiresAt: 0 }
    return { status: 'stored', envelope, repeated: true }
  }

  #remember(key: string, seen: Seen): void {
    for (const [old, { at }] of this.#seen) {
      if (seen.at - at <= this.#limits.dedupeWindowMs) break
      this.#seen.delete(old)
    }
    this.#seen.delete(key)
    this.#seen.set(key, seen)
  }

  #isFull({ from, body }: AppendItem): boolean {
    const { inboxMaxMessages, inboxMaxBytes } = this.#limits
    const share = this.#shares.get(from) ?? { count: 0, bytes: 0 }
    return (
      this.#envelopes.length >= inboxMaxMessages ||
      this.#bytes + body.length > inboxMaxBytes ||
      share.count >= limits.maxEnvelopesPerSender ||
      share.bytes + body.length > inboxMaxBytes * limits.senderShareOfBytes
    )
  }

  #count({ from, body }: Stored, sign: 1 | -1): void {
    this.#bytes += sign * body.length
    const share = this.#shares.get(from) ?? { count: 0, bytes: 0 }
    const next = { count: share.count + sign, bytes: share.bytes + sign * body.length }
    if (next.count === 0) this.#shares.delete(from)
    else this.#shares.set(from, next)
  }

  claim(owner: Owner, node: NodeId, nowMs: number): Held {
    this.#lastEpoch = nextNumber(this.#lastEpoch, nowMs)
    this.held = { epoch: this.#lastEpoch, owner, node, until: 0, returnedUpTo: 0 }
    return this.held
  }

  /** Returns the current claim if it is the given one. */
  match({ epoch, owner }: Claim, node: NodeId): Held | undefined {
    const { held } = this
    if (!held || held.epoch !== epoch || held.owner.connection !== owner.connection) return undefined
    return owner.kind === 'socket' && held.node !== node ? undefined : held
  }

  read(after: number, { maxItems, maxBytes }: ReadLimit, nowMs: number): Envelope[] {
    this.dropExpired(nowMs)
    const found: Envelope[] = []
    let bytes = 0
    for (const { expiresAt: _kept, ...envelope } of this.#envelopes) {
      if (envelope.seq <= after) continue
      bytes += envelope.body.length
      if (found.length === maxItems || (found.length > 0 && bytes > maxBytes)) break
      found.push(envelope)
    }
    return found
  }

  reachesAbove(seq: number): boolean {
    return this.#envelopes.length > 0 && this.#lastSeq > seq
  }

  dropExpired(nowMs: number): void {
    this.#drop(({ expiresAt }) => expiresAt <= nowMs)
  }

  trim(upTo: number): void {
    this.#drop(({ seq }) => seq <= upTo)
  }

  /** Removes mail, dedupe entries and the claim. The numbers continue. */
  clear(): void {
    this.#drop(() => true)
    this.#seen.clear()
    this.held = undefined
  }

  #drop(goes: (envelope: Stored) => boolean): void {
    const kept: Stored[] = []
    for (const envelope of this.#envelopes) {
      if (goes(envelope)) this.#count(envelope, -1)
      else kept.push(envelope)
    }
    this.#envelopes = kept
  }
}
