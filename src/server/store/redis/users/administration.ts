import { parseUsername, type Username } from '../../../../protocol/names.ts'
import type { AccountView, Administration, Invite, NodeView } from '../../administration.ts'
import type { NodeId } from '../../ids.ts'
import { asWriters } from '../../privacy.ts'
import { isSocketOwner } from '../connection/claim-owner.ts'
import { inboxKey, inviteKey, invitesKey, metaKey, nodesKey, nodeUsersKey, userKey } from '../connection/keys.ts'
import { asNumber, asStrings } from '../connection/reply.ts'
import { scripts } from '../connection/script.ts'
import { settled } from '../connection/store-error.ts'
import type { BroadcastStream } from '../nodes/broadcast-stream.ts'
import type { RedisContext } from '../nodes/context.ts'

/** Operations for operators. They are rare, so several commands each are fast enough. */
export class RedisAdministration implements Administration {
  readonly #context: RedisContext
  readonly #broadcasts: BroadcastStream
  readonly #drainSelf: () => void

  constructor(context: RedisContext, broadcasts: BroadcastStream, drainSelf: () => void) {
    this.#context = context
    this.#broadcasts = broadcasts
    this.#drainSelf = drainSelf
  }

  async listInvites({
    limit,
    cursor = '',
  }: {
    limit: number
    cursor?: string
  }): Promise<{ invites: Invite[]; cursor: string | null }> {
    const { redis } = this.#context
    const entries = asStrings(await scripts.invites.run(redis, [invitesKey], [cursor, limit]))
    const invites = await Promise.all(entries.map(entry => this.#invite(entry)))
    return {
      invites: invites.filter(invite => invite !== null),
      cursor: entries.length < limit ? null : (entries.at(-1) ?? null),
    }
  }

  /** Returns `null` if the invite no longer exists but its index entry does. */
  async #invite(entry: string): Promise<Invite | null> {
    const [expiresAt = '', id = ''] = entry.split(' ')
    const user = await settled(this.#context.redis.get(inviteKey(id)))
    if (user === null) return null
    const [name = ''] = user.split(' ')
    return { id, expiresAt: Number(expiresAt), usedBy: name === '' ? null : parseUsername(name) }
  }

  async revokeInvite(inviteHash: string): Promise<boolean> {
    return this.#context.withDurability(async redis => {
      const key = inviteKey(inviteHash)
      const expiresAt = await settled(redis.pexpiretime(key))
      if (expiresAt < 0) return false
      const gone = await settled(redis.del(key))
      await settled(redis.zrem(invitesKey, inviteEntry(inviteHash, expiresAt)))
      return gone === 1
    })
  }

  async findAccount(username: Username): Promise<AccountView | null> {
    const { redis, leases } = this.#context
    const [[identity, registeredAt, lastSeenAt, deleted], [owner, node, closed, writers, count, bytes], [first]] =
      await settled(
        Promise.all([
          redis.hmget(userKey(username), 'identity', 'registeredAt', 'lastSeenAt', 'deleted'),
          redis.hmget(metaKey(username), 'owner', 'node', 'closed', 'writers', 'count', 'bytes'),
          redis.xrange(inboxKey(username), '-', '+', 'COUNT', 1),
        ]),
      )
    if (!identity) return null
    return {
      username,
      identity,
      registeredAt: Number(registeredAt),
      lastSeenAt: Number(lastSeenAt),
      online: !!owner && !!node && isSocketOwner(owner) && leases.isLive(node),
      blocked: !!closed,
      deleted: !!deleted,
      writers: asWriters(writers),
      queue: { messages: Number(count ?? 0), bytes: Number(bytes ?? 0), oldestAt: first ? sentAtOf(first[1]) : null },
    }
  }

  block(username: Username): Promise<boolean> {
    return this.#close(username, '1')
  }

  unblock(username: Username): Promise<boolean> {
    return this.#close(username, '')
  }

  async #close(username: Username, closed: '1' | ''): Promise<boolean> {
    const keys = [userKey(username), metaKey(username)]
    return asNumber(await this.#context.withDurability(redis => scripts.block.run(redis, keys, [closed]))) === 1
  }

  async releaseName(username: Username): Promise<'released' | 'live' | 'unknown'> {
    const keys = [userKey(username), metaKey(username)]
    const outcome = await this.#context.withDurability(redis => scripts.releaseName.run(redis, keys, []))
    return outcome === 'live' || outcome === 'unknown' ? outcome : 'released'
  }

  async listNodes(): Promise<NodeView[]> {
    const { redis } = this.#context
    const flat = await settled(redis.zrange(nodesKey, '0', '-1', 'WITHSCORES'))
    const nodes = flat.flatMap((node, at) => (at % 2 === 0 ? [{ node, leaseEndsAt: Number(flat[at + 1]) }] : []))
    const counts = await settled(Promise.all(nodes.map(({ node }) => redis.scard(nodeUsersKey(node)))))
    return nodes.map((view, at) => ({ ...view, listening: counts[at] ?? 0 }))
  }

  async drain(node: NodeId): Promise<boolean> {
    const { redis, options } = this.#context
    if ((await settled(redis.zscore(nodesKey, node))) === null) return false
    if (node === options.nodeId) this.#drainSelf()
    else await this.#broadcasts.broadcast(redis, 'drain', node)
    return true
  }
}

/** The entry of an invite in the index, which is sorted by expiry. */
export const inviteEntry = (inviteHash: string, expiresAt: number): string =>
  `${String(expiresAt).padStart(16, '0')} ${inviteHash}`

/** Reads `sentAt` from an envelope's first field: `id from kind prev sentAt …`. */
const sentAtOf = ([, envelope = '']: string[]): number => Number(envelope.split(' ')[4])
