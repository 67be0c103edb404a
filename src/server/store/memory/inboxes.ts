import { createHash } from 'node:crypto'
import { limits } from '../../../protocol/limits.ts'
import type { Username } from '../../../protocol/names.ts'
import type { NodeId } from '../ids.ts'
import {
  type AppendItem,
  type AppendResult,
  type Claim,
  type Envelope,
  fullRetryS,
  type Inboxes,
  type Owner,
  type ReadLimit,
  type Reserved,
  toReserved,
} from '../store.ts'
import type { MemoryBacking } from './backing.ts'
import type { Held } from './inbox.ts'

/** Inboxes and their claims, as one node uses them. */
export class MemoryInboxes implements Inboxes {
  readonly #backing: MemoryBacking
  readonly #nodeId: NodeId

  constructor(backing: MemoryBacking, nodeId: NodeId) {
    this.#backing = backing
    this.#nodeId = nodeId
  }

  async append(items: readonly AppendItem[]): Promise<AppendResult[]> {
    const blocked = new Set<string>()
    const nowMs = this.#backing.now()
    for (const { from, to } of items) this.#backing.access(from).noteContact(to, limits.maxRules)
    return items.map(item => {
      const pair = `${item.stream} ${item.to}`
      if (blocked.has(pair)) return { status: 'inbox_full', retryAfter: fullRetryS }
      const result = this.#append(item, nowMs)
      if (result.status === 'inbox_full') blocked.add(pair)
      return result
    })
  }

  #append(item: AppendItem, nowMs: number): AppendResult {
    if (!this.#backing.liveUser(item.to)) return { status: 'unknown_user' }
    const inbox = this.#backing.inbox(item.to)
    const fingerprint = createHash('sha256').update(`${item.kind} ${item.body}`).digest('base64url')
    const mayWrite = this.#backing.access(item.to).mayWrite(item.from)
    const appended = inbox.append(item, fingerprint, nowMs, mayWrite)
    if (appended.status === 'inbox_full') return { ...appended, retryAfter: fullRetryS }
    if (appended.status !== 'stored') return appended
    const { envelope, repeated } = appended
    const { held } = inbox
    const isHeld = this.#backing.isHeld(held)
    if (isHeld) this.#hint(item.to, held, repeated ? undefined : envelope)
    return { status: 'stored', seq: envelope.seq, queued: !isHeld, repeated }
  }

  #hint(username: Username, { node, epoch }: Held, stored: (Envelope & { expiresAt: number }) | undefined): void {
    if (!stored) return this.#backing.notify(node, { kind: 'appended', username, epoch })
    const { expiresAt: _kept, ...envelope } = stored
    this.#backing.notify(node, { kind: 'appended', username, epoch, envelope })
  }

  async claim(username: Username, owner: Owner): Promise<{ claim: Claim; queued: number } | 'conflict'> {
    const inbox = this.#backing.inbox(username)
    const { held } = inbox
    const isOwn = held?.owner.kind === 'http' && held.owner.connection === owner.connection
    if (owner.kind === 'http' && this.#backing.isHeld(held) && !isOwn) return 'conflict'
    const next = owner.kind === 'http' && isOwn && this.#backing.isHeld(held) ? held : this.#take(username, owner)
    next.node = this.#nodeId
    if (owner.kind === 'http') next.until = this.#backing.now() + owner.ttlMs
    this.#touch(username)
    return { claim: { username, epoch: next.epoch, owner }, queued: inbox.length }
  }

  #take(username: Username, owner: Owner): Held {
    const inbox = this.#backing.inbox(username)
    const { held: before } = inbox
    const held = inbox.claim(owner, this.#nodeId, this.#backing.now())
    if (before) this.#tellReplaced(username, before, held.epoch, owner.kind === 'socket' ? owner.instance : '')
    return held
  }

  #tellReplaced(username: Username, { node, owner }: Held, epoch: number, instance: string): void {
    this.#backing.notify(node, { kind: 'replaced', username, connection: owner.connection, epoch, instance })
  }

  #touch(username: Username): void {
    const user = this.#backing.users.get(username)
    if (user) user.lastSeenAt = this.#backing.now()
  }

  async read(claim: Claim, after: number, limit: ReadLimit): Promise<Envelope[] | 'stale'> {
    const inbox = this.#backing.inbox(claim.username)
    const held = inbox.match(claim, this.#nodeId)
    if (!held) return 'stale'
    const envelopes = inbox.read(after, limit, this.#backing.now())
    if (claim.owner.kind === 'http') {
      held.until = this.#backing.now() + claim.owner.ttlMs
      held.returnedUpTo = Math.max(held.returnedUpTo, envelopes.at(-1)?.seq ?? 0)
    }
    return envelopes
  }

  async peek(claim: Claim, after: number): Promise<'some' | 'none' | 'stale'> {
    const inbox = this.#backing.inbox(claim.username)
    if (!inbox.match(claim, this.#nodeId)) return 'stale'
    return inbox.reachesAbove(after) ? 'some' : 'none'
  }

  async ack(claim: Claim, seq: number): Promise<'acked' | 'stale' | 'bad_ack'> {
    const inbox = this.#backing.inbox(claim.username)
    const held = inbox.match(claim, this.#nodeId)
    if (!held) return 'stale'
    if (claim.owner.kind === 'http' && seq > held.returnedUpTo) return 'bad_ack'
    inbox.trim(seq)
    return 'acked'
  }

  async release(claim: Claim): Promise<void> {
    const inbox = this.#backing.inbox(claim.username)
    if (!inbox.match(claim, this.#nodeId)) return
    inbox.held = undefined
    this.#touch(claim.username)
  }

  async countQueued(username: Username): Promise<number> {
    return this.#backing.inbox(username).length
  }

  async reserve(username: Username, upTo: number, signature?: string): Promise<Reserved> {
    const inbox = this.#backing.inbox(username)
    const signed = inbox.reservation?.upTo ?? 0
    const { unsignedStep, maxUnsignedSteps } = limits
    if (signature !== undefined) {
      if (upTo > signed) inbox.reservation = { upTo, signature }
    } else {
      const most = Math.min(
        Math.max(inbox.reserved, Math.min(signed, maxUnsignedSteps)) + unsignedStep,
        maxUnsignedSteps,
      )
      inbox.reserved = Math.max(inbox.reserved, Math.min(upTo, most))
    }
    return this.readReserved(username)
  }

  async readReserved(username: Username): Promise<Reserved> {
    const { reserved, reservation } = this.#backing.inbox(username)
    return toReserved(reserved, reservation)
  }
}
