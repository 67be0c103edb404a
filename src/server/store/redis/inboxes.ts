import { parseUsername, type Username } from '../../../protocol/names.ts'
import type { AppendItem, AppendResult, Claim, Envelope, Inboxes, NodeId, Owner, ReadLimit } from '../store.ts'
import { appendBatch } from './append-batch.ts'
import type { RedisContext } from './context.ts'
import { inboxKey, metaKey, nodeUsersKey, onlineKey, shareKey, userKey } from './keys.ts'
import { connectionOf, encodeOwner, isSocketOwner } from './owner.ts'
import { asArray, asNumber, asString, asStrings } from './reply.ts'
import { scripts } from './script.ts'
import { settled } from './store-error.ts'

/** Envelopes that one call removes: a long script stops everybody else's. */
const maxTrim = 1_000

type Taken = { epoch: number; queued: number; before: string; beforeNode: NodeId }

/** Inboxes and who claims them. Every step of one inbox is one script; the indexes around it are repaired by reading. */
export class RedisInboxes implements Inboxes {
  readonly #context: RedisContext
  /** Who listens here, to mend the indexes by. */
  readonly #listening = new Set<Username>()

  constructor(context: RedisContext) {
    this.#context = context
  }

  append(items: readonly AppendItem[]): Promise<AppendResult[]> {
    return appendBatch(this.#context, items)
  }

  async claim(username: Username, owner: Owner): Promise<{ claim: Claim; queued: number } | 'conflict'> {
    const taken = await (owner.kind === 'socket'
      ? this.#claimSocket(username, owner)
      : this.#claimHttp(username, owner))
    if (taken === 'conflict') return taken
    const { epoch, queued, before, beforeNode } = taken
    if (before !== '') {
      const instance = owner.kind === 'socket' ? owner.instance : ''
      this.#context.tell(beforeNode, [
        { kind: 'replaced', username, connection: connectionOf(before), epoch, instance },
      ])
    }
    return { claim: { username, epoch, owner }, queued }
  }

  /** The node's set names it before the claim does, so that whoever cleans up after this node finds it; and after, since a release may have removed it. */
  async #claimSocket(username: Username, owner: Owner): Promise<Taken> {
    await this.#mark(username, this.#context.options.nodeId)
    const taken = decodeTaken(asArray(await this.#runClaim(username, owner, '')))
    if (taken === 'conflict') throw new TypeError('a socket takes an inbox from anybody')
    this.#listening.add(username)
    await this.index(username)
    return taken
  }

  async #claimHttp(username: Username, owner: Owner): Promise<Taken | 'conflict'> {
    const reply = asArray(await this.#runClaim(username, owner, ''))
    if (reply[0] !== 'held') return decodeTaken(reply)
    const [, epoch, node] = asStrings(reply)
    if (node === undefined || epoch === undefined || this.#context.leases.isLive(node)) return 'conflict'
    const again = asArray(await this.#runClaim(username, owner, epoch))
    return again[0] === 'held' ? 'conflict' : decodeTaken(again)
  }

  #runClaim(username: Username, owner: Owner, deadEpoch: string): Promise<unknown> {
    const { redis, options } = this.#context
    const lastsMs = owner.kind === 'http' ? owner.ttlMs : ''
    const args = [encodeOwner(owner, options.nodeId), options.nodeId, lastsMs, deadEpoch]
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

  async ack(claim: Claim, seq: number): Promise<'acked' | 'stale' | 'bad_ack'> {
    const { username } = claim
    const keys = [metaKey(username), inboxKey(username), shareKey(username)]
    for (;;) {
      const outcome = await scripts.ack.run(this.#context.redis, keys, [...this.#proofOf(claim), seq, maxTrim])
      if (outcome === 'acked' || outcome === 'stale' || outcome === 'bad_ack') return outcome
    }
  }

  async release(claim: Claim): Promise<void> {
    const { username, owner } = claim
    const { redis, options } = this.#context
    await scripts.release.run(redis, [metaKey(username), userKey(username)], this.#proofOf(claim))
    if (owner.kind === 'http') return
    // Also where another node has it now: the set of this one still named it.
    const node = await this.unindex(username, options.nodeId)
    if (node !== options.nodeId) this.#listening.delete(username)
  }

  async countQueued(username: Username): Promise<number> {
    return Number((await settled(this.#context.redis.hget(metaKey(username), 'count'))) ?? 0)
  }

  async reserve(username: Username, upTo: number): Promise<number> {
    return asNumber(await scripts.reserve.run(this.#context.redis, [metaKey(username)], [upTo]))
  }

  /** Notes in the indexes that a user listens here. */
  async index(username: Username): Promise<void> {
    const { redis, options } = this.#context
    await Promise.all([this.#mark(username, options.nodeId), scripts.mark.run(redis, [onlineKey], ['index', username])])
  }

  /** Takes a user out of the indexes, and looks again: it may have come back meanwhile, or listen at the node that is returned. */
  async unindex(username: Username, node: NodeId): Promise<NodeId | null> {
    const { redis } = this.#context
    await settled(Promise.all([redis.zrem(onlineKey, username), redis.srem(nodeUsersKey(node), username)]))
    const [owner, owningNode] = await settled(redis.hmget(metaKey(username), 'owner', 'node'))
    if (!owner || !owningNode || !isSocketOwner(owner)) return null
    await Promise.all([this.#mark(username, owningNode), scripts.mark.run(redis, [onlineKey], ['index', username])])
    return owningNode
  }

  /** Whoever listens here, in the indexes once more: a release elsewhere may have stopped half way. */
  async mend(): Promise<void> {
    for (const username of [...this.#listening]) if (this.#listening.has(username)) await this.index(username)
  }

  async #mark(username: Username, node: NodeId): Promise<void> {
    await scripts.mark.run(this.#context.redis, [nodeUsersKey(node)], ['set', username])
  }

  /** What the script holds against the claim. */
  #proofOf({ epoch, owner }: Claim): [number, string] {
    return [epoch, encodeOwner(owner, this.#context.options.nodeId)]
  }
}

function decodeTaken(reply: unknown[]): Taken | 'conflict' {
  if (reply[0] === 'conflict') return 'conflict'
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
