import type { Redis } from 'ioredis'
import Redlock, { type Lock } from 'redlock'
import { limits } from '../../../protocol/limits.ts'
import { parseUsername } from '../../../protocol/names.ts'
import type { NodeId, Nodes } from '../store.ts'
import type { RedisContext } from './context.ts'
import type { RedisInboxes } from './inboxes.ts'
import { cleanUpLock, fenceKey, metaKey, nodesKey, nodeUsersKey } from './keys.ts'
import { asNumber, asStrings } from './reply.ts'
import { scripts } from './script.ts'
import { settled } from './store-error.ts'

/** How long one cleaner holds the lock, ms, and what it keeps for the step under way. */
const lockMs = 10_000
const lockReserveMs = 2_000
/** Users that one step takes away from a dead node. */
const stepUsers = 200

export class RedisNodes implements Nodes {
  readonly #context: RedisContext
  readonly #inboxes: RedisInboxes
  readonly #redlock: Redlock

  constructor(context: RedisContext, inboxes: RedisInboxes) {
    this.#context = context
    this.#inboxes = inboxes
    this.#redlock = new Redlock([context.redis], { retryCount: 0 })
    // That somebody else cleans up is no error; what fails is thrown where it is waited for.
    this.#redlock.on('error', () => {})
  }

  async renewLease(): Promise<void> {
    const { redis, options, leases } = this.#context
    const askedAt = performance.now()
    const [now, ...entries] = asStrings(await scripts.renew.run(redis, [nodesKey], [options.nodeId, limits.leaseMs]))
    leases.renewed(askedAt, asNumber(now), decodeLeases(entries))
  }

  /**
   * One node at a time cleans up after a dead one, and what it does is right even when two do: every step names the dead node, whose id is
   * never used again, and carries a fencing number.
   */
  async cleanUpDeadNodes(): Promise<void> {
    await this.#inboxes.mend()
    for (const node of this.#context.leases.dead()) {
      const lock = await this.#lock(node)
      if (lock) await this.#cleanUp(node, lock)
    }
  }

  /** Ends this node's lease: what it still held is taken away by the others. */
  async forgetSelf(): Promise<void> {
    const { redis, options } = this.#context
    const held = await settled(redis.scard(nodeUsersKey(options.nodeId)))
    if (held === 0) await settled(redis.zrem(nodesKey, options.nodeId))
  }

  /** `null`: another node does it, or Redis is away. */
  async #lock(node: NodeId): Promise<Lock | null> {
    try {
      return await this.#redlock.acquire([cleanUpLock(node)], lockMs)
    } catch {
      return null
    }
  }

  async #cleanUp(node: NodeId, lock: Lock): Promise<void> {
    const { redis } = this.#context
    try {
      const fence = asNumber(await scripts.nextFence.run(redis, [fenceKey], []))
      // A lock may be handed out late; its own clock says whether it still stands.
      while (lock.expiration - Date.now() > lockReserveMs) {
        const users = await settled(redis.srandmember(nodeUsersKey(node), stepUsers))
        if (users.length === 0) return void (await scripts.forgetNode.run(redis, [nodesKey], [node]))
        await this.#takeAway(redis, users, node, fence)
      }
    } finally {
      await lock.release().catch(() => {})
    }
  }

  async #takeAway(redis: Redis, users: readonly string[], node: NodeId, fence: number): Promise<void> {
    await Promise.all(
      users.map(async name => {
        const isMine = asNumber(await scripts.releaseDead.run(redis, [metaKey(name)], [node, fence]))
        if (isMine === 1) await this.#inboxes.unindex(parseUsername(name), node)
      }),
    )
  }
}

function decodeLeases(flat: readonly string[]): Map<NodeId, number> {
  const ends = new Map<NodeId, number>()
  for (let at = 0; at + 1 < flat.length; at += 2) ends.set(flat[at] ?? '', Number(flat[at + 1]))
  return ends
}
