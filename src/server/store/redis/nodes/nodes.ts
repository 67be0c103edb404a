import { limits } from '../../../../protocol/limits.ts'
import { parseUsername, type Username } from '../../../../protocol/names.ts'
import type { NodeId } from '../../ids.ts'
import type { Nodes } from '../../store.ts'
import { cleanUpLock, metaKey, nodesKey, nodeUsersKey } from '../connection/keys.ts'
import { asNumber, asString, asStrings } from '../connection/reply.ts'
import { scripts } from '../connection/script.ts'
import { settled } from '../connection/store-error.ts'
import type { RedisContext } from './context.ts'

/** Users that one step releases from a dead node. */
const stepUsers = 200

/** The part of `RedisInboxes` that changes with the leases of nodes. */
type NodeClaims = {
  /** Releases claims of this node that were granted without an answer. Never rejects. */
  settleClaims(): Promise<void>
  /** Restores the index entries of the users that listen at this node. */
  restoreIndexes(): Promise<void>
  /** Removes a user from the indexes of a node. */
  unindex(username: Username, node: NodeId): Promise<unknown>
}

export class RedisNodes implements Nodes {
  readonly #context: RedisContext
  readonly #claims: NodeClaims

  constructor(context: RedisContext, claims: NodeClaims) {
    this.#context = context
    this.#claims = claims
  }

  async renewLease(): Promise<'kept' | 'lapsed'> {
    const { redis, options, leases, generation } = this.#context
    const askedAt = performance.now()
    const reply = asStrings(await scripts.renew.run(redis, [nodesKey], [options.nodeId, limits.leaseMs]))
    const [now, state, ...entries] = reply
    const isFirst = !leases.wasHeld
    leases.renewed(askedAt, asNumber(now), decodeLeases(entries))
    const isLapsed = state === 'lapsed' && !isFirst
    // A Redis that was emptied no longer knows this node, although no connection ended.
    if (isLapsed) await generation.refresh()
    void this.#claims.settleClaims()
    return isLapsed ? 'lapsed' : 'kept'
  }

  doubtLease(): void {
    this.#context.leases.doubt()
  }

  /**
   * One node at a time cleans up after a dead node. It stays correct if two do so at once: every step names the dead
   * node, whose id is never used again, and carries a fencing number.
   */
  async cleanUpDead(): Promise<void> {
    await this.#claims.restoreIndexes()
    const { leases, locks } = this.#context
    for (const node of leases.dead()) await locks.hold(cleanUpLock(node), fence => this.#cleanUp(node, fence))
  }

  /**
   * Removes this node's lease if it has no claims; otherwise the other nodes release them when the lease has expired.
   */
  async forgetSelf(): Promise<void> {
    const { redis, options } = this.#context
    const held = await settled(redis.scard(nodeUsersKey(options.nodeId)))
    if (held === 0) await settled(redis.zrem(nodesKey, options.nodeId))
  }

  async #cleanUp(node: NodeId, fence: number): Promise<'more' | 'done'> {
    const { redis } = this.#context
    const epoch = asString(await scripts.seenDead.run(redis, [nodesKey], [node]))
    if (epoch === '') return 'done'
    const users = await settled(redis.srandmember(nodeUsersKey(node), stepUsers))
    if (users.length === 0) {
      await scripts.forgetNode.run(redis, [nodesKey], [node])
      return 'done'
    }
    const outcomes = await Promise.all(users.map(name => this.#takeAway(name, [node, fence, epoch])))
    return outcomes.includes('released') && !outcomes.includes('overtaken') ? 'more' : 'done'
  }

  async #takeAway(name: string, proof: readonly [NodeId, number, string]): Promise<string> {
    const outcome = asString(await scripts.releaseDead.run(this.#context.redis, [metaKey(name)], proof))
    if (outcome === 'released') await this.#claims.unindex(parseUsername(name), proof[0])
    return outcome
  }
}

function decodeLeases(flat: readonly string[]): Map<NodeId, number> {
  const ends = new Map<NodeId, number>()
  for (let at = 0; at + 1 < flat.length; at += 2) ends.set(flat[at] ?? '', Number(flat[at + 1]))
  return ends
}
