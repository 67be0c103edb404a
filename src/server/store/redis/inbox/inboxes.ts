import { limits } from '../../../../protocol/limits.ts'
import { parseUsername, type Username } from '../../../../protocol/names.ts'
import type { NodeId } from '../../ids.ts'
import {
  type AppendItem,
  type AppendResult,
  type Claim,
  type Envelope,
  type Inboxes,
  type Owner,
  type ReadLimit,
  type Reserved,
  StoreUnavailableError,
  toReserved,
} from '../../store.ts'
import { connectionOf, encodeOwner, isSocketOwner } from '../connection/claim-owner.ts'
import { commandTimeoutMs } from '../connection/connect.ts'
import { inboxKey, metaKey, nodeUsersKey, onlineKey, shareKey, userKey } from '../connection/keys.ts'
import { asArray, asNumber, asString, asStrings } from '../connection/reply.ts'
import { scripts } from '../connection/script.ts'
import { settled } from '../connection/store-error.ts'
import type { RedisContext } from '../nodes/context.ts'
import type { RedisContacts } from '../users/contacts.ts'
import { appendBatch } from './append-batch.ts'
import { appendWithinBudgets, isNew } from './append-within-budgets.ts'
import { type AckOutcome, BatchedClaimCalls, type PeekOutcome } from './batched-claim-calls.ts'
import type { RedisExpiry } from './expiry.ts'
import { UnconfirmedClaims } from './unconfirmed-claims.ts'

/** Users that one step of `restoreIndexes` adds to the indexes. */
const stepUsers = 200

type Taken = { epoch: number; queued: number; before: string; beforeNode: NodeId }

/**
 * Inboxes and their claims. Every change of one inbox is one script; the indexes are updated separately, and repaired
 * on reads.
 */
export class RedisInboxes implements Inboxes {
  readonly #context: RedisContext
  readonly #expiry: Pick<RedisExpiry, 'mark'>
  readonly #contacts: RedisContacts
  readonly #calls: BatchedClaimCalls
  /** Users that listen on this node, so that `restoreIndexes` can restore their index entries. */
  readonly #listening = new Set<Username>()
  readonly #unconfirmed: UnconfirmedClaims

  constructor(context: RedisContext, expiry: Pick<RedisExpiry, 'mark'>, contacts: RedisContacts) {
    this.#context = context
    this.#expiry = expiry
    this.#unconfirmed = new UnconfirmedClaims({ redis: context.redis, onReleased: username => this.#leave(username) })
    this.#contacts = contacts
    this.#calls = new BatchedClaimCalls(context)
  }

  async append(items: readonly AppendItem[]): Promise<AppendResult[]> {
    const { stored } = this.#context
    await stored.prepare(items.map(({ from }) => from))
    await this.#contacts.note(items)
    const results = await appendWithinBudgets(stored, items, admitted =>
      appendBatch(this.#context, this.#expiry, admitted),
    )
    this.#contacts.noteKnown(items, at => isNew(results[at]))
    if (results.some(({ status }) => status === 'unknown_user')) await this.#context.generation.check()
    return results
  }

  async claim(username: Username, owner: Owner): Promise<{ claim: Claim; queued: number } | 'conflict'> {
    const taken = await (owner.kind === 'socket'
      ? this.#claimSocket(username, owner)
      : this.#claimHttp(username, owner))
    if (taken === 'conflict') return taken
    const { epoch, queued, before, beforeNode } = taken
    if (before !== '') {
      const instance = owner.kind === 'socket' ? owner.instance : ''
      this.#context.notify(beforeNode, [
        { kind: 'replaced', username, connection: connectionOf(before), epoch, instance },
      ])
    }
    return { claim: { username, epoch, owner }, queued }
  }

  /**
   * The node's set is written before the claim, so that a cleanup after this node's death finds it, and again after the
   * claim, because a concurrent release may have removed the entry.
   */
  async #claimSocket(username: Username, owner: Owner): Promise<Taken> {
    const { leases, options } = this.#context
    await this.#mark(options.nodeId, username)
    const until = leases.latestRedisNow() + commandTimeoutMs
    try {
      const taken = decodeTaken(asArray(await this.#runClaim(username, owner, { until })))
      if (taken === 'conflict') throw new TypeError('the script claim refused a socket')
      this.#listening.add(username)
      await this.#index(options.nodeId, username)
      return taken
    } catch (error) {
      this.#unconfirmed.add({ username, owner: encodeOwner(owner, options.nodeId), until })
      throw error
    }
  }

  /** Releases claims that may have been granted without an answer. Called when Redis answers again. Never rejects. */
  settleClaims(): Promise<void> {
    return this.#unconfirmed.settle()
  }

  async #claimHttp(username: Username, owner: Owner): Promise<Taken | 'conflict'> {
    const reply = asArray(await this.#runClaim(username, owner))
    if (reply[0] !== 'held') return decodeTaken(reply)
    const [, epoch, node] = asStrings(reply)
    if (node === undefined || epoch === undefined || this.#context.leases.isLive(node)) return 'conflict'
    const again = asArray(await this.#runClaim(username, owner, { deadEpoch: epoch }))
    return again[0] === 'held' ? 'conflict' : decodeTaken(again)
  }

  #runClaim(
    username: Username,
    owner: Owner,
    { deadEpoch = '', until = '' }: { deadEpoch?: string; until?: number | '' } = {},
  ): Promise<unknown> {
    const { redis, options } = this.#context
    const lastsMs = owner.kind === 'http' ? owner.ttlMs : ''
    const args = [encodeOwner(owner, options.nodeId), options.nodeId, lastsMs, deadEpoch, until]
    return scripts.claim.run(redis, [metaKey(username), userKey(username)], args)
  }

  async read(claim: Claim, after: number, { maxItems, maxBytes }: ReadLimit): Promise<Envelope[] | 'stale'> {
    const { username, owner } = claim
    const lastsMs = owner.kind === 'http' ? owner.ttlMs : ''
    const keys = [metaKey(username), inboxKey(username), shareKey(username)]
    const args = [...this.#proofOf(claim), after, maxItems, maxBytes, lastsMs]
    for (;;) {
      const reply = await scripts.read.run(this.#context.redis, keys, args)
      if (reply === null) return 'stale'
      const [state, found, removed] = asArray(reply)
      this.#context.stored.removed(asStrings(removed))
      if (state !== 'more') return decodeEnvelopes(asStrings(found))
    }
  }

  ack(claim: Claim, seq: number): Promise<AckOutcome> {
    return this.#calls.ack(claim, seq)
  }

  peek(claim: Claim, after: number): Promise<PeekOutcome> {
    return this.#calls.peek(claim, after)
  }

  async release(claim: Claim): Promise<void> {
    const { username, owner } = claim
    await scripts.release.run(this.#context.redis, [metaKey(username), userKey(username)], this.#proofOf(claim))
    if (owner.kind === 'socket') await this.#leave(username)
  }

  /** Removes the index entry of this node, also if another node has claimed the inbox since. */
  async #leave(username: Username): Promise<void> {
    const { nodeId } = this.#context.options
    const node = await this.unindex(username, nodeId)
    if (node !== nodeId) this.#listening.delete(username)
  }

  async countQueued(username: Username): Promise<number> {
    return Number((await settled(this.#context.redis.hget(metaKey(username), 'count'))) ?? 0)
  }

  async reserve(username: Username, upTo: number, signature = ''): Promise<Reserved> {
    const halves = [signature.slice(0, signature.length / 2), signature.slice(signature.length / 2)]
    const args = [upTo, ...halves, limits.unsignedStep, limits.maxUnsignedSteps]
    return decodeReserved(asArray(await scripts.reserve.run(this.#context.redis, [metaKey(username)], args)))
  }

  async readReserved(username: Username): Promise<Reserved> {
    const { redis } = this.#context
    return decodeReserved(await settled(redis.hmget(metaKey(username), 'reserved', 'signed', 'sign1', 'sign2')))
  }

  /** Adds users to the indexes of a node's listeners and of online users. */
  async #index(node: NodeId, ...usernames: Username[]): Promise<void> {
    const { redis } = this.#context
    await Promise.all([this.#mark(node, ...usernames), scripts.mark.run(redis, [onlineKey], ['index', ...usernames])])
  }

  /**
   * Removes a user from the indexes, then reads the claim and adds the user again if a socket holds it. Returns the
   * node of that socket.
   */
  async unindex(username: Username, node: NodeId): Promise<NodeId | null> {
    const { redis } = this.#context
    await settled(Promise.all([redis.zrem(onlineKey, username), redis.srem(nodeUsersKey(node), username)]))
    const [owner, owningNode] = await settled(redis.hmget(metaKey(username), 'owner', 'node'))
    if (!owner || !owningNode || !isSocketOwner(owner)) return null
    await this.#index(owningNode, username)
    return owningNode
  }

  /** Adds all users that listen here to the indexes again: a release on another node may have stopped half way. */
  async restoreIndexes(): Promise<void> {
    const all = [...this.#listening]
    for (let at = 0; at < all.length; at += stepUsers) {
      const listening = all.slice(at, at + stepUsers).filter(username => this.#listening.has(username))
      if (listening.length > 0) await this.#index(this.#context.options.nodeId, ...listening)
    }
  }

  async #mark(node: NodeId, ...usernames: Username[]): Promise<void> {
    await scripts.mark.run(this.#context.redis, [nodeUsersKey(node)], ['set', ...usernames])
  }

  /** Epoch and owner, which the scripts compare with the current claim. */
  #proofOf({ epoch, owner }: Claim): [number, string] {
    return [epoch, encodeOwner(owner, this.#context.options.nodeId)]
  }
}

function decodeTaken(reply: unknown[]): Taken | 'conflict' {
  if (reply[0] === 'conflict') return 'conflict'
  if (reply[0] === 'late') throw new StoreUnavailableError('the claim reached Redis too late')
  const [, epoch, queued, before, beforeNode] = asStrings(reply)
  return {
    epoch: asNumber(epoch),
    queued: asNumber(queued),
    before: asString(before),
    beforeNode: asString(beforeNode),
  }
}

function decodeReserved([reserved, signed, first, second]: unknown[]): Reserved {
  const unsigned = Number(reserved ?? 0)
  return toReserved(unsigned, signed ? { upTo: Number(signed), signature: `${first}${second}` } : undefined)
}

/** Decodes three strings per envelope: stream id, metadata (`id from kind prev sentAt …`), body. */
function decodeEnvelopes(flat: string[]): Envelope[] {
  const envelopes: Envelope[] = []
  for (let at = 0; at + 2 < flat.length; at += 3) {
    const [id = '', from = '', kind, prev, sentAt] = asString(flat[at + 1]).split(' ')
    envelopes.push({
      seq: Number.parseInt(asString(flat[at]), 10),
      prev: Number(prev),
      id,
      from: parseUsername(from),
      kind: kind === 'key_exchange' ? kind : 'message',
      body: asString(flat[at + 2]),
      sentAt: Number(sentAt),
    })
  }
  return envelopes
}
