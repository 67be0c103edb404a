import { parseUsername } from '../../../protocol/names.ts'
import type { NodeId } from '../ids.ts'
import type { Notice, Store, StoreOptions } from '../store.ts'
import { type AppendOnly, checkServer, type Durability } from './connection/check-server.ts'
import { claimDomain } from './connection/claim-domain.ts'
import { connectClient, connectSubscription } from './connection/connect.ts'
import { RedisGeneration } from './connection/generation.ts'
import { OutageLog } from './connection/outage-log.ts'
import { endClient, isCluster, type RedisClient } from './connection/redis-client.ts'
import { onPrimaryOnly, Replication } from './connection/replication.ts'
import { asNumber } from './connection/reply.ts'
import { agreeOnSchema, ownSchema, type Schema } from './connection/schema-version.ts'
import type { Subscription } from './connection/subscription.ts'
import { RedisExpiry } from './inbox/expiry.ts'
import { RedisInboxes } from './inbox/inboxes.ts'
import { type Broadcast, BroadcastStream } from './nodes/broadcast-stream.ts'
import type { RedisContext } from './nodes/context.ts'
import { Leases } from './nodes/leases.ts'
import { type Acquire, Locks, redlockOf } from './nodes/locks.ts'
import { NodeChannel } from './nodes/node-channel.ts'
import { RedisNodes } from './nodes/nodes.ts'
import { MemoryWatch } from './stored/memory-watch.ts'
import { readSalt } from './stored/origin.ts'
import { StoredBytes } from './stored/stored-bytes.ts'
import { RedisAdministration } from './users/administration.ts'
import { RedisCards } from './users/cards.ts'
import { RedisContacts } from './users/contacts.ts'
import { RedisLogins } from './users/logins.ts'
import { RedisPrivacy } from './users/privacy.ts'
import { RedisPublishedKeys } from './users/published-keys.ts'
import { RedisBuckets } from './users/rate-buckets.ts'
import { RedisUsers } from './users/users.ts'

type RedisStoreOptions = {
  /** In a form that `parseRedisUrl` accepts. */
  url: string
  /** `strict`: a write is confirmed only when a replica has it, too. */
  durability?: Durability
  /** `required`: a Redis without an append-only file is refused, because it loses mail when it ends. */
  appendOnly?: AppendOnly
  /** Receives connection errors and unwise settings for the operator's log. Texts contain no command arguments. */
  warn?: (message: string) => void
  /** Receives the reason why Redis cannot be used, once for each outage, without secrets. */
  outage?: (message: string) => void
  /** DOMAIN of the node. Redis takes that of the first node, and refuses nodes of another. */
  domain?: string | null
  /** Creates the function that acquires locks. A test passes one that grants locks wrongly. */
  locksOf?: (redis: RedisClient) => Acquire
  /** The schema versions of this release. A test passes those of another release. */
  schema?: Schema
}

/**
 * Opens the Redis engine. Resolves when it is connected; later it reconnects by itself.
 * @throws {StoreUnavailableError} if Redis is out of reach
 * @throws {RedisSetupError} if its settings would lose mail, or this release cannot read its data, or they are those of
 * another domain
 */
export async function openRedisStore(
  options: StoreOptions,
  {
    url,
    durability = 'standard',
    appendOnly = 'required',
    warn = () => {},
    outage = () => {},
    domain = null,
    locksOf = redlockOf,
    schema = ownSchema,
  }: RedisStoreOptions,
): Promise<Store> {
  const store = await RedisStore.open(options, { url, durability, appendOnly, warn, outage, domain, locksOf, schema })
  return store
}

type Connections = {
  commands: RedisClient
  subscription: Subscription
  replicated: RedisClient | null
  acquire: Acquire
  memory: MemoryWatch
  salt: string
  outages: OutageLog
  domain: string | null
}

/** In a Cluster a notice goes only to the servers of the channel's slot. */
const publisherOf = (client: RedisClient) => async (channel: string, text: string) =>
  isCluster(client) ? asNumber(await client.spublish(channel, text)) : client.publish(channel, text)

/** One node's view of the state in Redis. */
class RedisStore implements Store {
  readonly kind = 'redis'
  readonly nodeId: NodeId
  readonly users: RedisUsers
  readonly logins: RedisLogins
  readonly inboxes: RedisInboxes
  readonly keys: RedisPublishedKeys
  readonly buckets: RedisBuckets
  readonly nodes: RedisNodes
  readonly privacy: RedisPrivacy
  readonly cards: RedisCards
  readonly admin: RedisAdministration
  readonly storage: StoredBytes
  readonly #commands: RedisClient
  readonly #replicated: RedisClient | null
  readonly #generation: RedisGeneration
  readonly #leases: Leases
  readonly #channel: NodeChannel
  readonly #broadcasts: BroadcastStream
  readonly #contacts: RedisContacts
  readonly #memory: MemoryWatch
  readonly #expiry: RedisExpiry
  #handler: (notice: Notice) => void = () => {}

  private constructor(
    options: StoreOptions,
    { commands, subscription, replicated, acquire, memory, salt, outages, domain }: Connections,
  ) {
    const notifySelf = (notice: Notice) => this.#handler(notice)
    this.nodeId = options.nodeId
    this.#commands = commands
    this.#replicated = replicated
    this.#memory = memory
    this.storage = new StoredBytes(commands, options, memory, salt)
    // Agents that stay connected must learn that they have to send again what has no receipt.
    const onChange = () => {
      notifySelf({ kind: 'lease-lost' })
      // An emptied Redis has no domain. If this fails, the next node that starts records it.
      if (domain !== null) claimDomain(commands, domain).catch(() => {})
    }
    this.#generation = new RedisGeneration(commands, onChange, () => outages.over())
    this.#leases = new Leases(options.nodeId)
    this.#channel = new NodeChannel({
      own: options.nodeId,
      publish: publisherOf(commands),
      subscription,
      notifySelf,
      onUnreachable: node => this.#leases.markUnreachable(node),
    })
    const context: RedisContext = {
      redis: commands,
      options,
      generation: this.#generation,
      leases: this.#leases,
      locks: new Locks(commands, acquire),
      withDurability: replicated ? new Replication(replicated).withDurability : onPrimaryOnly(commands),
      stored: this.storage,
      notify: (node, notices) => this.#channel.notify(node, notices),
    }
    this.#broadcasts = new BroadcastStream(
      commands,
      (what, which) => this.#onBroadcast(what, which),
      () => this.#onGap(),
    )
    this.#contacts = new RedisContacts(context)
    this.cards = new RedisCards(context)
    this.logins = new RedisLogins(context, this.#broadcasts, notifySelf)
    this.users = new RedisUsers(context, this.cards, this.logins)
    this.#expiry = new RedisExpiry(context, username => this.users.finishDeletion(username))
    this.inboxes = new RedisInboxes(context, this.#expiry, this.#contacts)
    this.keys = new RedisPublishedKeys(context)
    this.buckets = new RedisBuckets(context)
    this.nodes = new RedisNodes(context, this.inboxes)
    this.privacy = new RedisPrivacy(context, this.#broadcasts, this.#contacts)
    this.admin = new RedisAdministration(context, this.#broadcasts, () => notifySelf({ kind: 'drain' }))
  }

  static async open(
    options: StoreOptions,
    { url, durability, appendOnly, warn, outage, domain, locksOf, schema }: Required<RedisStoreOptions>,
  ): Promise<RedisStore> {
    const outages = new OutageLog(url, outage)
    const onError = (error: Error) => outages.failed(error)
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
      if (domain !== null) await claimDomain(commands, domain)
      commands.on('refusal', (error: unknown) => outages.refused(error))
      const replicated = durability === 'strict' ? await open('aimessage-keep') : null
      const salt = await readSalt(commands)
      const memory = new MemoryWatch(commands)
      const subscription = await connectSubscription(commands, url, 'aimessage-hints', onError)
      const store = new RedisStore(options, {
        commands,
        subscription,
        replicated,
        acquire: locksOf(commands),
        memory,
        salt,
        outages,
        domain,
      })
      try {
        await store.#start()
        return store
      } catch (error) {
        subscription.close()
        throw error
      }
    } catch (error) {
      for (const redis of opened) endClient(redis)
      throw error
    }
  }

  async #start(): Promise<void> {
    await this.#memory.start()
    await this.#channel.start()
    await this.#broadcasts.start()
    await this.#generation.start()
    await this.nodes.renewLease()
  }

  #onBroadcast(what: Broadcast, which: string): void {
    if (what === 'token') this.#handler({ kind: 'revoked', tokenHash: which })
    else if (what === 'writers') this.#contacts.forget(parseUsername(which))
    else if (which === this.nodeId) this.#handler({ kind: 'drain' })
  }

  #onGap(): void {
    this.#contacts.forgetAll()
    this.#handler({ kind: 'revocations-lost' })
  }

  generation(): string {
    return this.#generation.current()
  }

  now(): number {
    return this.#leases.latestRedisNow()
  }

  isReady(): boolean {
    const isConnected = this.#commands.status === 'ready' && (this.#replicated?.status ?? 'ready') === 'ready'
    return isConnected && this.#generation.isKnown() && this.#leases.isHeld()
  }

  onNotice(handler: (notice: Notice) => void): void {
    this.#handler = handler
  }

  sweep(): Promise<void> {
    return this.#expiry.sweep()
  }

  async close(): Promise<void> {
    this.#memory.close()
    this.storage.close()
    this.#channel.close()
    this.#broadcasts.close()
    this.#generation.close()
    try {
      await this.nodes.forgetSelf()
    } catch {
      // Redis cannot be reached; the lease expires.
    }
    this.#replicated?.disconnect()
    endClient(this.#commands)
  }
}
