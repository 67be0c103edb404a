import { createHash, randomBytes } from 'node:crypto'
import type { Redis } from 'ioredis'
import type { Username } from '../../../protocol/names.ts'
import {
  type AppendItem,
  type AppendResult,
  type Claim,
  type Envelope,
  type FetchedKeys,
  type InviteRule,
  type KeyCounts,
  type KeyUpload,
  type NodeId,
  type Notice,
  type Owner,
  type ReadLimit,
  type Store,
  type StoreOptions,
  StoreUnavailableError,
  type TokenHash,
  type User,
  type UserQuery,
  type UserStatus,
} from '../store.ts'
import { Bus } from './bus.ts'
import { checkServer, makeOnce, readInfo } from './check-server.ts'
import { connect } from './connect.ts'
import type { RedisContext } from './context.ts'
import { RedisInboxes } from './inboxes.ts'
import { generationKey } from './keys.ts'
import { Leases } from './leases.ts'
import { RedisNodes } from './nodes.ts'
import { RedisKeys } from './published-keys.ts'
import { RedisSessions } from './sessions.ts'
import { settled } from './store-error.ts'
import { RedisUsers } from './users.ts'

export type RedisStoreOptions = {
  /** `redis://[user:password@]host:port[/db]`, or `rediss://` for TLS. */
  url: string
  /** What the operator should know: connection errors, unwise settings. Without arguments of commands. */
  warn?: (message: string) => void
}

/**
 * Opens the Redis engine. It connects before it resolves, and reconnects by itself afterwards.
 * @throws {StoreUnavailableError} when Redis is out of reach
 * @throws {RedisSetupError} when it would lose mail
 */
export async function openRedisStore(
  options: StoreOptions,
  { url, warn = () => {} }: RedisStoreOptions,
): Promise<Store> {
  const store = await RedisStore.open(options, url, warn)
  return store
}

type Parts = { options: StoreOptions; commands: Redis; subscriber: Redis }

/** One node's view of what Redis holds. */
class RedisStore implements Store {
  readonly kind = 'redis'
  readonly nodeId: NodeId
  readonly #commands: Redis
  readonly #subscriber: Redis
  readonly #leases: Leases
  readonly #bus: Bus
  readonly #inboxes: RedisInboxes
  readonly #users: RedisUsers
  readonly #sessions: RedisSessions
  readonly #keys: RedisKeys
  readonly #nodes: RedisNodes
  #generation = ''
  #isGenerationKnown = false
  #hear: (notice: Notice) => void = () => {}

  private constructor({ options, commands, subscriber }: Parts) {
    const hear = (notice: Notice) => this.#hear(notice)
    this.nodeId = options.nodeId
    this.#commands = commands
    this.#subscriber = subscriber
    this.#leases = new Leases(options.nodeId)
    this.#bus = new Bus({
      own: options.nodeId,
      commands,
      subscriber,
      hear,
      onDeaf: node => this.#leases.heardNothing(node),
    })
    const context: RedisContext = {
      redis: commands,
      options,
      leases: this.#leases,
      tell: (node, notices) => this.#bus.tell(node, notices),
    }
    this.#inboxes = new RedisInboxes(context)
    this.#users = new RedisUsers(context)
    this.#sessions = new RedisSessions(context, hear)
    this.#keys = new RedisKeys(context)
    this.#nodes = new RedisNodes(context, this.#inboxes)
  }

  static async open(options: StoreOptions, url: string, warn: (message: string) => void): Promise<RedisStore> {
    const onError = (error: Error) => warn(`Redis: ${error.message.slice(0, 200)}`)
    const commands = await connect(url, 'aimessage', onError)
    let subscriber: Redis | undefined
    try {
      for (const advice of await checkServer(commands)) warn(advice)
      subscriber = await connect(url, 'aimessage-hints', onError)
      const store = new RedisStore({ options, commands, subscriber })
      await store.#start()
      return store
    } catch (error) {
      commands.disconnect()
      subscriber?.disconnect()
      throw error
    }
  }

  async #start(): Promise<void> {
    await this.#bus.start()
    await this.#sessions.start()
    await this.#readGeneration()
    this.#commands.on('close', () => {
      this.#isGenerationKnown = false
    })
    this.#commands.on('ready', () => this.#readGeneration().catch(() => this.#commands.disconnect(true)))
    await this.#nodes.renewLease()
  }

  /** Another process, or one that was emptied, may not have what the last one accepted. */
  async #readGeneration(): Promise<void> {
    const info = await readInfo(this.#commands)
    const made = await settled(makeOnce(this.#commands, generationKey, randomBytes(16).toString('base64url')))
    const text = `${info.get('run_id')} ${made}`
    const generation = createHash('sha256').update(text).digest('base64url').slice(0, 22)
    const isChanged = this.#generation !== '' && this.#generation !== generation
    this.#generation = generation
    this.#isGenerationKnown = true
    // Agents that stay connected would not learn that they have to send again what has no receipt.
    if (isChanged) this.#hear({ kind: 'lease-lost' })
  }

  /** @throws {StoreUnavailableError} while a new connection has not told: an answer with the last one would hide a loss. */
  generation(): string {
    if (!this.#isGenerationKnown) throw new StoreUnavailableError('Redis is out of reach')
    return this.#generation
  }

  isReady(): boolean {
    return this.#commands.status === 'ready' && this.#isGenerationKnown && this.#leases.isHeld()
  }

  onNotice(handler: (notice: Notice) => void): void {
    this.#hear = handler
  }

  async close(): Promise<void> {
    this.#bus.close()
    this.#sessions.close()
    this.#isGenerationKnown = false
    try {
      await this.#nodes.forgetSelf()
    } catch {
      // Redis is away; the lease ends by itself.
    }
    this.#subscriber.disconnect()
    this.#commands.disconnect()
  }

  register(
    username: Username,
    identity: string,
    invite: InviteRule,
  ): Promise<'created' | 'same' | 'taken' | 'forbidden'> {
    return this.#users.register(username, identity, invite)
  }

  findUser(username: Username): Promise<(User & { online: boolean }) | null> {
    return this.#users.findUser(username)
  }

  deleteUser(username: Username): Promise<void> {
    return this.#users.deleteUser(username, token => this.#sessions.endOf(token, username))
  }

  listUsers(query: UserQuery): Promise<{ users: UserStatus[]; cursor: string | null }> {
    return this.#users.listUsers(query)
  }

  addInvite(inviteHash: string, ttlMs: number): Promise<void> {
    return this.#users.addInvite(inviteHash, ttlMs)
  }

  createSession(tokenHash: TokenHash, username: Username, ttlMs: number): Promise<{ expiresAt: number }> {
    return this.#sessions.createSession(tokenHash, username, ttlMs)
  }

  findSession(tokenHash: TokenHash): Promise<{ username: Username; expiresAt: number } | null> {
    return this.#sessions.findSession(tokenHash)
  }

  revokeSession(tokenHash: TokenHash): Promise<void> {
    return this.#sessions.revokeSession(tokenHash)
  }

  putChallenge(nonce: string, username: Username, ttlMs: number): Promise<void> {
    return this.#sessions.putChallenge(nonce, username, ttlMs)
  }

  takeChallenge(nonce: string, username: Username): Promise<boolean> {
    return this.#sessions.takeChallenge(nonce, username)
  }

  append(items: readonly AppendItem[]): Promise<AppendResult[]> {
    return this.#inboxes.append(items)
  }

  claim(username: Username, owner: Owner): Promise<{ claim: Claim; queued: number } | 'conflict'> {
    return this.#inboxes.claim(username, owner)
  }

  read(claim: Claim, after: number, limit: ReadLimit): Promise<Envelope[] | 'stale'> {
    return this.#inboxes.read(claim, after, limit)
  }

  ack(claim: Claim, seq: number): Promise<'acked' | 'stale' | 'bad_ack'> {
    return this.#inboxes.ack(claim, seq)
  }

  release(claim: Claim): Promise<void> {
    return this.#inboxes.release(claim)
  }

  countQueued(username: Username): Promise<number> {
    return this.#inboxes.countQueued(username)
  }

  reserve(username: Username, upTo: number): Promise<number> {
    return this.#inboxes.reserve(username, upTo)
  }

  publishKeys(username: Username, upload: KeyUpload): Promise<KeyCounts | 'conflict'> {
    return this.#keys.publishKeys(username, upload)
  }

  countKeys(username: Username): Promise<KeyCounts> {
    return this.#keys.countKeys(username)
  }

  fetchKeys(
    username: Username,
    requester: Username,
    id: string,
  ): Promise<FetchedKeys | 'unknown_user' | 'no_keys' | 'rate_limited'> {
    return this.#keys.fetchKeys(username, requester, id)
  }

  renewLease(): Promise<void> {
    return this.#nodes.renewLease()
  }

  cleanUpDeadNodes(): Promise<void> {
    return this.#nodes.cleanUpDeadNodes()
  }
}
