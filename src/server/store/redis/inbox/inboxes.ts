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
  StoreUnavailableError,
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
import { type AckOutcome, BatchedClaimCalls, type PeekOutcome } from './batched-claim-calls.ts'
import type { RedisExpiry } from './expiry.ts'
import { UnconfirmedClaims } from './unconfirmed-claims.ts'

/** Users that one step of mending puts into the indexes. */
const mendUsers = 200

type Taken = { epoch: number; queued: number; before: string; beforeNode: NodeId }

/** Inboxes and who claims them. Every step of one inbox is one script; the indexes around it are repaired by reading. */
export class RedisInboxes implements Inboxes {
  readonly #context: RedisContext
  readonly #expiry: Pick<RedisExpiry, 'mark'>
  readonly #contacts: RedisContacts
  readonly #calls: BatchedClaimCalls
  /** Who listens here, to mend the indexes by. */
  readonly #listening = new Set<Username>()
  readonly #unconfirmed: UnconfirmedClaims

  constructor(context: RedisContext, expiry: Pick<RedisExpiry, 'mark'>, contacts: RedisContacts) {
    this.#context = context
    this.#expiry = expiry
    this.#unconfirmed = new UnconfirmedClaims({ redis: context.redis, onGivenUp: username => this.#leave(username) })
    this.#contacts = contacts
    this.#calls = new BatchedClaimCalls(context)
  }

  async append(items: readonly AppendItem[]): Promise<AppendResult[]> {
    await this.#contacts.note(items)
    const results = await appendBatch(this.#context, this.#expiry, items)
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

  /** The node's set names it before the claim does, so that whoever cleans up after this node finds it; and after, since a release may have removed it. */
  async #claimSocket(username: Username, owner: Owner): Promise<Taken> {
    const { leases, options } = this.#context
    await this.#mark(options.nodeId, username)
    const until = leases.latestRedisNow() + commandTimeoutMs
    try {
      const taken = decodeTaken(asArray(await this.#runClaim(username, owner, { until })))
      if (taken === 'conflict') throw new TypeError('a socket takes an inbox from anybody')
      this.#listening.add(username)
      await this.#index(options.nodeId, username)
      return taken
    } catch (error) {
      this.#unconfirmed.add({ username, owner: encodeOwner(owner, options.nodeId), until })
      throw error
    }
  }

  /** Gives up what claims got that nobody was told of; called when Redis answers. Never rejects. */
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
      if (reply !== 'more') return reply === null ? 'stale' : decodeEnvelopes(asStrings(reply))
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

  /** Also where another node has the inbox now: the set of this one still named it. */
  async #leave(username: Username): Promise<void> {
    const { nodeId } = this.#context.options
    const node = await this.unindex(username, nodeId)
    if (node !== nodeId) this.#listening.delete(username)
  }

  async countQueued(username: Username): Promise<number> {
    return Number((await settled(this.#context.redis.hget(metaKey(username), 'count'))) ?? 0)
  }

  async reserve(username: Username, upTo: number): Promise<number> {
    return asNumber(await scripts.reserve.run(this.#context.redis, [metaKey(username)], [upTo]))
  }

  /** Notes in the indexes that users listen at a node. */
  async #index(node: NodeId, ...usernames: Username[]): Promise<void> {
    const { redis } = this.#context
    await Promise.all([this.#mark(node, ...usernames), scripts.mark.run(redis, [onlineKey], ['index', ...usernames])])
  }

  /** Takes a user out of the indexes, and looks again: it may have come back meanwhile, or listen at the node that is returned. */
  async unindex(username: Username, node: NodeId): Promise<NodeId | null> {
    const { redis } = this.#context
    await settled(Promise.all([redis.zrem(onlineKey, username), redis.srem(nodeUsersKey(node), username)]))
    const [owner, owningNode] = await settled(redis.hmget(metaKey(username), 'owner', 'node'))
    if (!owner || !owningNode || !isSocketOwner(owner)) return null
    await this.#index(owningNode, username)
    return owningNode
  }

  /** Whoever listens here, in the indexes once more: a release elsewhere may have stopped half way. */
  async mend(): Promise<void> {
    const all = [...this.#listening]
    for (let at = 0; at < all.length; at += mendUsers) {
      const listening = all.slice(at, at + mendUsers).filter(username => this.#listening.has(username))
      if (listening.length > 0) await this.#index(this.#context.options.nodeId, ...listening)
    }
  }

  async #mark(node: NodeId, ...usernames: Username[]): Promise<void> {
    await scripts.mark.run(this.#context.redis, [nodeUsersKey(node)], ['set', ...usernames])
  }

  /** What the script holds against the claim. */
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

/** Three strings an envelope: stream id, what the node knows of it, body. */
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
