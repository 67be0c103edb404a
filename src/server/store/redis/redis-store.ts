import { parseUsername, type Username } from '../../../protocol/names.ts'
import type { Administration } from '../administration.ts'
import type { Cards } from '../cards.ts'
import { ComposedStore } from '../composed-store.ts'
import type { Privacy } from '../privacy.ts'
import type {
  AppendItem,
  AppendResult,
  Bucket,
  FetchedKeys,
  FetchRefusal,
  InviteRule,
  Lease,
  LeaseRequest,
  NodeId,
  Notice,
  Rate,
  Registered,
  RegisteredAfter,
  Store,
  StoredSession,
  StoreOptions,
  TokenHash,
  User,
  UserQuery,
  UserStatus,
} from '../store.ts'
import { type AppendOnly, checkServer, type Durability } from './connection/check-server.ts'
import { connectClient, connectSubscription } from './connection/connect.ts'
import type { RedisContext } from './connection/context.ts'
import { RedisGeneration } from './connection/generation.ts'
import { isCluster, type RedisClient } from './connection/redis-client.ts'
import { Keeper, keepOnPrimary } from './connection/replication.ts'
import { asNumber } from './connection/reply.ts'
import { agreeOnSchema, ownSchema, type Schema } from './connection/schema-version.ts'
import { withoutArguments } from './connection/store-error.ts'
import type { Subscription } from './connection/subscription.ts'
import { RedisExpiry } from './inbox/expiry.ts'
import { RedisInboxes } from './inbox/inboxes.ts'
import { type Announced, RedisAnnouncements } from './nodes/broadcast-stream.ts'
import { Leases } from './nodes/leases.ts'
import { type Acquire, Locks, redlockOf } from './nodes/locks.ts'
import { Bus } from './nodes/node-channel.ts'
import { RedisNodes } from './nodes/nodes.ts'
import { RedisAdministration } from './users/administration.ts'
import { RedisCards } from './users/cards.ts'
import { RedisContacts } from './users/contacts.ts'
import { RedisPrivacy } from './users/privacy.ts'
import { RedisKeys } from './users/published-keys.ts'
import { RedisBuckets } from './users/rate-buckets.ts'
import { RedisSessions } from './users/sessions.ts'
import { RedisUsers } from './users/users.ts'

export type RedisStoreOptions = {
  /** As `parseRedisUrl` takes it. */
  url: string
  /** `strict`: nothing is told before a replica has it, too. */
  durability?: Durability
  /** `required`: a Redis that would lose mail when it ends is refused. */
  appendOnly?: AppendOnly
  /** What the operator should know: connection errors, unwise settings. Without arguments of commands. */
  warn?: (message: string) => void
  /** What grants locks; a test gives one that grants them wrongly. */
  locksOf?: (redis: RedisClient) => Acquire
  /** What another release reads and writes, for a test. */
  schema?: Schema
}

/**
 * Opens the Redis engine. It connects before it resolves, and reconnects by itself afterwards.
 * @throws {StoreUnavailableError} when Redis is out of reach
 * @throws {RedisSetupError} when it would lose mail
 */
export async function openRedisStore(
  options: StoreOptions,
  {
    url,
    durability = 'standard',
    appendOnly = 'required',
    warn = () => {},
    locksOf = redlockOf,
    schema = ownSchema,
  }: RedisStoreOptions,
): Promise<Store> {
  const store = await RedisStore.open(options, { url, durability, appendOnly, warn, locksOf, schema })
  return store
}

type Parts = {
  options: StoreOptions
  commands: RedisClient
  subscription: Subscription
  keeping: RedisClient | null
  acquire: Acquire
}

/** In a Cluster a notice goes to the servers of the channel's slot alone. */
const publisherOf = (client: RedisClient) => async (channel: string, text: string) =>
  isCluster(client) ? asNumber(await client.spublish(channel, text)) : client.publish(channel, text)

/** One node's view of what Redis holds. */
class RedisStore extends ComposedStore implements Store {
  readonly kind = 'redis'
  readonly nodeId: NodeId
  readonly privacy: Privacy
  readonly cards: Cards
  readonly admin: Administration
  readonly #commands: RedisClient
  readonly #keeping: RedisClient | null
  readonly #leases: Leases
  readonly #bus: Bus
  protected readonly inboxes: RedisInboxes
  readonly #users: RedisUsers
  readonly #sessions: RedisSessions
  readonly #announcements: RedisAnnouncements
  readonly #contacts: RedisContacts
  protected readonly keys: RedisKeys
  readonly #buckets: RedisBuckets
  readonly #nodes: RedisNodes
  readonly #expiry: RedisExpiry
  readonly #generation: RedisGeneration
  #hear: (notice: Notice) => void = () => {}

  private constructor({ options, commands, subscription, keeping, acquire }: Parts) {
    super()
    const hear = (notice: Notice) => this.#hear(notice)
    this.nodeId = options.nodeId
    this.#commands = commands
    this.#keeping = keeping
    // Agents that stay connected would not learn that they have to send again what has no receipt.
    this.#generation = new RedisGeneration(commands, () => hear({ kind: 'lease-lost' }))
    this.#leases = new Leases(options.nodeId)
    this.#bus = new Bus({
      own: options.nodeId,
      publish: publisherOf(commands),
      subscription,
      hear,
      onDeaf: node => this.#leases.heardNothing(node),
    })
    const context: RedisContext = {
      redis: commands,
      options,
      leases: this.#leases,
      locks: new Locks(commands, acquire),
      keep: keeping ? new Keeper(keeping).keep : keepOnPrimary(commands),
      tell: (node, notices) => this.#bus.tell(node, notices),
    }
    this.#expiry = new RedisExpiry(context, username => this.#users.finishDeletion(username, this.#endToken))
    this.#announcements = new RedisAnnouncements(commands, (what, which) => this.#announced(what, which))
    this.#contacts = new RedisContacts(context)
    this.inboxes = new RedisInboxes(context, this.#expiry, this.#contacts)
    const cards = new RedisCards(context)
    this.cards = cards
    this.#users = new RedisUsers(context, cards)
    this.#sessions = new RedisSessions(context, this.#announcements, hear)
    this.privacy = new RedisPrivacy(context, this.#announcements, this.#contacts)
    this.admin = new RedisAdministration(context, this.#announcements, () => hear({ kind: 'drain' }))
    this.keys = new RedisKeys(context)
    this.#buckets = new RedisBuckets(context)
    this.#nodes = new RedisNodes(context, this.inboxes)
  }

  static async open(
    options: StoreOptions,
    { url, durability, appendOnly, warn, locksOf, schema }: Required<RedisStoreOptions>,
  ): Promise<RedisStore> {
    const onError = (error: Error) => warn(`Redis: ${withoutArguments(error.message).slice(0, 200)}`)
    const opened: RedisClient[] = []
    const open = async (name: string) => {
      const redis = await connectClient(url, name, onError)
      opened.push(redis)
      return redis
    }
    try {
      const commands = await open('aimessage')
      for (const advice of await checkServer(commands, { durability, appendOnly })) warn(advice)
      await agreeOnSchema(commands, schema)
      const keeping = durability === 'strict' ? await open('aimessage-keep') : null
      const subscription = await connectSubscription(commands, url, 'aimessage-hints', onError)
      const store = new RedisStore({ options, commands, subscription, keeping, acquire: locksOf(commands) })
      try {
        await store.#start()
        return store
      } catch (error) {
        subscription.close()
        throw error
      }
    } catch (error) {
      for (const redis of opened) redis.disconnect()
      throw error
    }
  }

  async #start(): Promise<void> {
    await this.#bus.start()
    await this.#announcements.start()
    await this.#generation.start()
    await this.#nodes.renewLease()
  }

  #announced(what: Announced, which: string): void {
    if (what === 'token') this.#hear({ kind: 'revoked', tokenHash: which })
    else if (what === 'writers') this.#contacts.forget(parseUsername(which))
    else if (which === this.nodeId) this.#hear({ kind: 'drain' })
  }

  generation(): string {
    return this.#generation.current()
  }

  now(): number {
    return this.#leases.latestRedisNow()
  }

  isReady(): boolean {
    const isConnected = this.#commands.status === 'ready' && (this.#keeping?.status ?? 'ready') === 'ready'
    return isConnected && this.#generation.isKnown() && this.#leases.isHeld()
  }

  onNotice(handler: (notice: Notice) => void): void {
    this.#hear = handler
  }

  async close(): Promise<void> {
    this.#bus.close()
    this.#announcements.close()
    this.#generation.close()
    try {
      await this.#nodes.forgetSelf()
    } catch {
      // Redis is away; the lease ends by itself.
    }
    this.#keeping?.disconnect()
    this.#commands.disconnect()
  }

  register(
    username: Username,
    identity: string,
    invite: InviteRule,
    after: RegisteredAfter = 'deletion',
  ): Promise<Registered> {
    return this.#users.register(username, identity, { invite, after })
  }

  findUser(username: Username): Promise<(User & { online: boolean; blocked: boolean }) | null> {
    return this.#users.findUser(username)
  }

  async deleteUser(username: Username): Promise<void> {
    await this.#expiry.markLeaving(username)
    await this.#users.deleteUser(username, this.#endToken)
  }

  #endToken = (tokenHash: TokenHash, username: Username): Promise<void> => this.#sessions.endOf(tokenHash, username)

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

  listSessions(username: Username): Promise<StoredSession[]> {
    return this.#sessions.listSessions(username)
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

  override async append(items: readonly AppendItem[]): Promise<AppendResult[]> {
    const results = await super.append(items)
    if (results.some(({ status }) => status === 'unknown_user')) await this.#generation.check()
    return results
  }

  override async fetchKeys(username: Username, requester: Username, id: string): Promise<FetchedKeys | FetchRefusal> {
    const fetched = await super.fetchKeys(username, requester, id)
    if (fetched === 'unknown_user') await this.#generation.check()
    return fetched
  }

  leaseTokens(bucket: Bucket, rate: Rate, request: LeaseRequest): Promise<Lease> {
    return this.#buckets.leaseTokens(bucket, rate, request)
  }

  async renewLease(): Promise<'kept' | 'lapsed'> {
    const state = await this.#nodes.renewLease()
    // A Redis that was emptied knows this node no more, and no connection ended by it.
    if (state === 'lapsed') await this.#generation.refresh()
    void this.inboxes.settleClaims()
    return state
  }

  doubtLease(): void {
    this.#leases.doubt()
  }

  cleanUpDeadNodes(): Promise<void> {
    return this.#nodes.cleanUpDeadNodes()
  }

  sweep(): Promise<void> {
    return this.#expiry.sweep()
  }
}
