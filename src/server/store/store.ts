import type { Username } from '../../protocol/names.ts'
import type { Administration } from './administration.ts'
import type { Cards } from './cards.ts'
import type { ConnectionId, NodeId, TokenHash } from './ids.ts'
import type { Privacy } from './privacy.ts'

/**
 * The state that all nodes share. There are two engines: `redis/` for deployments; `memory/` as its executable model and
 * for a single node without Redis. Both pass the same contract tests. Every method that a client's retry can repeat is
 * idempotent, and every use of a claim is fenced by its epoch. A method throws `StoreUnavailableError` if the store is out
 * of reach; the caller then does not know whether the operation took effect.
 */
export interface Store {
  readonly kind: 'memory' | 'redis'
  /** This process. */
  readonly nodeId: NodeId
  readonly users: Users
  readonly logins: Logins
  readonly inboxes: Inboxes
  readonly keys: Keys
  readonly buckets: Buckets
  readonly nodes: Nodes
  readonly privacy: Privacy
  readonly cards: Cards
  readonly admin: Administration
  /** A value that changes when the store may have lost writes: after a restart, a failover or a restore of the database. */
  generation(): string
  /** The store's clock, ms since 1970. All `expiresAt` values refer to it, not to the clock of this machine. */
  now(): number
  /** Returns true if the store can be reached and this node holds its lease. */
  isReady(): boolean
  /** Sets the handler of notices for this node, before the first claim. The handler must not throw or block. */
  onNotice(handler: (notice: Notice) => void): void
  /** Removes expired mail and completes interrupted deletions. Every node may call it at any time. */
  sweep(): Promise<void>
  close(): Promise<void>
}

/** What both engines are opened with. */
export type StoreOptions = {
  nodeId: NodeId
  messageTtlS: number
  dedupeWindowS: number
  inboxMaxMessages: number
  inboxMaxBytes: number
}

export class StoreUnavailableError extends Error {
  override readonly name = 'StoreUnavailableError'
}

export type User = {
  username: Username
  /** base64url, 32 bytes. */
  identity: string
  registeredAt: number
  lastSeenAt: number
}

/** `card` where it was asked for and there is one. */
export type UserStatus = { username: Username; online: boolean; lastSeenAt: number; card?: string }

export interface Users {
  /**
   * Claims a name for a key, once, whichever nodes race. A deleted user's name is `created` again only for its own key.
   * Where registration is not open to this caller a free name is `forbidden`; `blocked` is what an operator did to the name.
   * After a `loss` (default: `deletion`) a name that was deleted or released is `deleted`, and stays so.
   */
  register(username: Username, identity: string, invite: InviteRule, after?: RegisteredAfter): Promise<Registered>
  find(username: Username): Promise<(User & { online: boolean; blocked: boolean }) | null>
  /** Mail, keys, sessions and the claim go; the name stays reserved for its key, its numbers go on. */
  delete(username: Username): Promise<void>
  /** Sorted by name; `cursor` is the last name of the page before. `cursor: null` in the answer is the end. */
  list(query: UserQuery): Promise<{ users: UserStatus[]; cursor: string | null }>
  /** Makes an invite known, by the SHA-256 of its text. It can be used once. */
  addInvite(inviteHash: string, ttlMs: number): Promise<void>
}

export type Registered = 'created' | 'same' | 'taken' | 'forbidden' | 'blocked' | 'deleted'
/** What a caller means to undo: whatever it was, or nothing but a store's loss. */
export type RegisteredAfter = 'deletion' | 'loss'
export type InviteRule = { kind: 'open' } | { kind: 'closed' } | { kind: 'invite'; inviteHash: string | undefined }
export type UserQuery = {
  online?: boolean
  prefix?: string
  /** Only users whose card names it. */
  capability?: string
  /** With their cards. */
  cards?: boolean
  limit: number
  cursor?: string
}

export interface Logins {
  /** Stores an auth session, of a user that is not blocked. Over `maxSessionsPerUser` the oldest ends, as if revoked. */
  create(tokenHash: TokenHash, username: Username, ttlMs: number): Promise<{ expiresAt: number }>
  find(tokenHash: TokenHash): Promise<{ username: Username; expiresAt: number } | null>
  /** Oldest first. */
  list(username: Username): Promise<Login[]>
  /** Ends a token everywhere: each node gets a `revoked` notice within 1 s, even when a publish is lost. */
  revoke(tokenHash: TokenHash): Promise<void>
  /** A nonce for one login over HTTP. */
  putChallenge(nonce: string, username: Username, ttlMs: number): Promise<void>
  /** Whether the nonce was given to this name and not used; it is gone afterwards in any case. */
  takeChallenge(nonce: string, username: Username): Promise<boolean>
}

export type Login = { tokenHash: TokenHash; createdAt: number; expiresAt: number }

export type EnvelopeKind = 'message' | 'key_exchange'

/** One stored message as nodes see it. `prev` is the number before it in the inbox (which may have been trimmed), 0 for the first ever. */
export type Envelope = {
  seq: number
  prev: number
  id: string
  from: Username
  kind: EnvelopeKind
  body: string
  sentAt: number
}

export type AppendItem = {
  /** Sends of one stream (a connection) to one recipient keep their order: after a refusal that a retry may mend, later ones of the batch are refused alike. */
  stream: string
  from: Username
  to: Username
  id: string
  kind: EnvelopeKind
  body: string
  ttlMs: number
}

export type AppendResult =
  /** `queued`: nobody listens now. `repeated`: this id was stored before; its recipient was hinted again. */
  | { status: 'stored'; seq: number; queued: boolean; repeated: boolean }
  | { status: 'unknown_user' }
  | { status: 'id_reused' }
  /** The recipient takes nothing from this sender, or an operator blocked it. */
  | { status: 'forbidden' }
  | { status: 'inbox_full'; retryAfter: number }
  /** The store refused the write, or may have done it and did not say so: the sender repeats the same frame. */
  | { status: 'unavailable' }

/** What a sender is asked to wait when an inbox is full, s. */
export const fullRetryS = 60

export type Owner =
  | { kind: 'socket'; connection: ConnectionId; instance: string }
  /** HTTP claims belong to a token and may go on at any node; they end `ttlMs` after the last `claim` or `read`. */
  | { kind: 'http'; connection: ConnectionId; ttlMs: number }

/** The right to read and trim one inbox. Every use names it and is refused when a higher epoch exists. */
export type Claim = { username: Username; epoch: number; owner: Owner }

export type ReadLimit = { maxItems: number; maxBytes: number }

export interface Inboxes {
  /**
   * Appends in the order given, at most `maxBatchItems` and `maxBatchBytes` at once; each item has its own result and
   * one bad inbox fails nobody else. Hints the listeners: through `onNotice` where they are on this node, else one publish per node.
   */
  append(items: readonly AppendItem[]): Promise<AppendResult[]>
  /**
   * A socket takes an inbox over from whoever holds it, and the old holder gets a `replaced` notice wherever it is. An
   * HTTP owner gets a free inbox or goes on with its own claim (same epoch); else `conflict`. The connection of a socket's claim is
   * never used again: what a claim got that failed is given up by it, by the store itself.
   */
  claim(username: Username, owner: Owner): Promise<{ claim: Claim; queued: number } | 'conflict'>
  /** Envelopes above `after`, oldest first, none past its ttl; at least one when there is one, whatever its size. */
  read(claim: Claim, after: number, limit: ReadLimit): Promise<Envelope[] | 'stale'>
  /** Whether `read` may find something: what many listeners that hear nothing ask now and then, cheaper than reading. */
  peek(claim: Claim, after: number): Promise<'some' | 'none' | 'stale'>
  /** Trims up to `seq`. An HTTP claim can acknowledge only what `read` returned to it: `bad_ack`. */
  ack(claim: Claim, seq: number): Promise<'acked' | 'stale' | 'bad_ack'>
  /** Gives the claim up; a claim that a later one has replaced stays untouched. */
  release(claim: Claim): Promise<void>
  /** How many envelopes wait. */
  countQueued(username: Username): Promise<number>
  /** Raises a number that never goes down; answers what it is now. */
  reserve(username: Username, upTo: number): Promise<number>
}

export type OneTimeKey = { id: number; key: string }
export type OneTimeKemKey = { id: number; key: string; signature: string }
export type KeyUpload = {
  /** `counter` is the bundle's `seq`: an older one is a `conflict`. */
  bundle?: { text: string; counter: number }
  oneTimeKeys?: readonly OneTimeKey[]
  oneTimeKemKeys?: readonly OneTimeKemKey[]
}
export type KeyCounts = { oneTimeKeys: number; oneTimeKemKeys: number }
export type FetchedKeys = { bundle: string; oneTimeKey?: OneTimeKey; oneTimeKemKey?: OneTimeKemKey }

export type FetchRefusal = 'unknown_user' | 'forbidden' | 'no_keys'

export interface Keys {
  /** A full pool ignores the rest; an id that the pool holds is not taken twice. */
  publish(username: Username, upload: KeyUpload): Promise<KeyCounts | 'conflict'>
  count(username: Username): Promise<KeyCounts>
  /**
   * Takes one key of each pool, in one step. The same requester and id get the same answer for `fetchRepeatMs`. Over the
   * limit per target, or per requester and target, the one-time keys stay. Who may not write gets no keys: `forbidden`.
   * A user whose pool falls below its mark by it gets a `keys-low` notice where it listens.
   */
  fetch(username: Username, requester: Username, id: string): Promise<FetchedKeys | FetchRefusal>
}

/** What is counted over all nodes: for a user, for what it sends to one `peer`, for an address. */
export type Bucket =
  | { kind: 'frames' | 'bytes' | 'calls' | 'fetches'; user: Username }
  | { kind: 'messages' | 'messageBytes'; user: Username; peer: Username }
  | { kind: 'registrations'; address: string }
export type BucketKind = Bucket['kind']
/** A bucket of `burst` tokens that fills with `perSecond`. */
export type Rate = { perSecond: number; burst: number }
/** At most `wanted`; nothing where there are fewer than `needed`, which is at most the burst. */
export type LeaseRequest = { wanted: number; needed: number }
export type Lease = {
  granted: number
  /** In how many ms there are as many as needed, if nobody else takes any. */
  waitMs: number
}

export interface Buckets {
  /** Tokens for this node to spend as it likes. Those it does not spend are lost, at most until the bucket has filled again. */
  lease(bucket: Bucket, rate: Rate, request: LeaseRequest): Promise<Lease>
}

export interface Nodes {
  /**
   * Renews this node's lease, every `renewMs`. `lapsed`: it had ended before, by the store's clock, and others may have taken what this node held.
   * @throws {StoreUnavailableError}
   */
  renewLease(): Promise<'kept' | 'lapsed'>
  /** This process stood still: the store is not ready until a renewal says what became of the lease. */
  doubtLease(): void
  /** Gives up what dead nodes held in the indexes. Safe to call on every node at any time. */
  cleanUpDead(): Promise<void>
}

/** What a store tells its node. Notices may be lost, late, repeated or out of order: none is needed for correctness. */
export type Notice =
  /** A new envelope for a claim of this node. `envelope` may be left out: read the inbox then. */
  | { kind: 'appended'; username: Username; epoch: number; envelope?: Envelope }
  /** A higher epoch took the inbox from `connection`. `instance` is the winner's, '' for an HTTP owner. */
  | { kind: 'replaced'; username: Username; connection: ConnectionId; epoch: number; instance: string }
  /** The user was deleted, and the claim went with it. No higher epoch exists: its sockets end with their sessions, whose `revoked` follows. */
  | { kind: 'deleted'; username: Username }
  | { kind: 'keys-low'; username: Username; counts: KeyCounts }
  | { kind: 'revoked'; tokenHash: TokenHash }
  /** An operator wants this node to give up what it does. */
  | { kind: 'drain' }
  /** Notices may have been missed: look at every inbox that is claimed here. */
  | { kind: 'resumed' }
  /** This node slept past its lease or lost the store: its claims are not its own any more. */
  | { kind: 'lease-lost' }
  /** Hints for another node were lost: nobody subscribes to it, or too many wait to be sent. For who counts. */
  | { kind: 'unheard'; why: Unheard }

export type Unheard = 'no subscriber' | 'queue full'
