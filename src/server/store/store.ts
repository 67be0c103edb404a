import { limits } from '../../protocol/limits.ts'
import type { Username } from '../../protocol/names.ts'
import type { Administration } from './administration.ts'
import type { Cards } from './cards.ts'
import type { ConnectionId, NodeId, TokenHash } from './ids.ts'
import type { Privacy } from './privacy.ts'
import type { Storage, StorageRefusal } from './storage.ts'

/**
 * The state that all nodes share. There are two engines: `redis/` for deployments; `memory/` as its executable model
 * and for a single node without Redis. Both pass the same contract tests. Every method that a client's retry can
 * repeat is idempotent, and every use of a claim is fenced by its epoch. A method throws `StoreUnavailableError` if
 * the store is out of reach; the caller then does not know whether the operation took effect.
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
  readonly storage: Storage
  /**
   * A value that changes when the store may have lost writes: after a restart, a failover or a restore of the
   * database.
   */
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

/** Options of both engines. */
export type StoreOptions = {
  nodeId: NodeId
  messageTtlS: number
  dedupeWindowS: number
  inboxMaxMessages: number
  inboxMaxBytes: number
  /** Of mail that one sender, and the users of one address, may have stored. The engine in memory has no budgets. */
  senderMaxBytes: number
  addressMaxBytes: number
}

export class StoreUnavailableError extends Error {
  override readonly name = 'StoreUnavailableError'
  /** The store has no room: the call changed nothing. */
  readonly isFull: boolean

  constructor(message: string, { isFull = false } = {}) {
    super(message)
    this.isFull = isFull
  }
}

export type User = {
  username: Username
  /** base64url, 32 bytes. */
  identity: string
  registeredAt: number
  lastSeenAt: number
}

/** `card` is set if the query asked for cards and the user has one. */
export type UserStatus = { username: Username; online: boolean; lastSeenAt: number; card?: string }

/** A page of users. `looked` is the number of names that the store looked at for it. */
export type ListedUsers = { users: UserStatus[]; cursor: string | null; looked: number }

export interface Users {
  /**
   * Claims a name for a key. If several nodes race, exactly one key gets the name. The name of a deleted user is
   * `created` again only for its own key. `forbidden`: the name is free, but registration is not open to this caller.
   * `blocked`: an operator blocked the name. With `after` = `loss` (default: `deletion`), a deleted or released name
   * is reported as `deleted` and not registered. What the user stores counts for `address`.
   * @throws {StorageBudgetError} if a new user of this address has no room
   */
  register(
    username: Username,
    identity: string,
    invite: InviteRule,
    after?: RegisteredAfter,
    address?: string,
  ): Promise<Registered>
  /** Records that a user was seen now, at `lastSeenAt`. A claim of its inbox does so by itself. */
  noteSeen(username: Username): Promise<void>
  find(username: Username): Promise<(User & { online: boolean; blocked: boolean }) | null>
  /**
   * Deletes mail, keys, logins and the claim. The name stays reserved for its key, and sequence numbers and epochs
   * continue from their last values.
   */
  delete(username: Username): Promise<void>
  /**
   * Sorted by name. `cursor` is the name to continue after; `cursor: null` in the result marks the last page. A call
   * looks at no more than `maxLookups` names, so a page may be short, or empty, although another follows.
   */
  list(query: UserQuery): Promise<ListedUsers>
  /** Stores an invite by the SHA-256 of its text. One user can register with it. */
  addInvite(inviteHash: string, ttlMs: number): Promise<void>
}

export type Registered = 'created' | 'same' | 'taken' | 'forbidden' | 'blocked' | 'deleted'
/** The event before a registration: a deletion by the user (or none), or a loss of data by the store. */
export type RegisteredAfter = 'deletion' | 'loss'
export type InviteRule = { kind: 'open' } | { kind: 'closed' } | { kind: 'invite'; inviteHash: string | undefined }
export type UserQuery = {
  online?: boolean
  prefix?: string
  /** Only users whose card lists this capability. */
  capability?: string
  /** Include the cards in the result. */
  cards?: boolean
  limit: number
  cursor?: string
}

export interface Logins {
  /**
   * Stores a login of a user that is not blocked. Above `maxSessionsPerUser` logins, the oldest is revoked. `address`
   * becomes the user's address if none is known.
   */
  create(tokenHash: TokenHash, username: Username, ttlMs: number, address?: string): Promise<{ expiresAt: number }>
  find(tokenHash: TokenHash): Promise<{ username: Username; expiresAt: number } | null>
  /** Oldest first. */
  list(username: Username): Promise<Login[]>
  /** Revokes a token on all nodes: each gets a `revoked` notice within 1 s, even if a publish is lost. */
  revoke(tokenHash: TokenHash): Promise<void>
  /** Stores a nonce for one login over HTTP. */
  putChallenge(nonce: string, username: Username, ttlMs: number): Promise<void>
  /** Returns true if the nonce was issued to this name and is unused. Deletes the nonce in any case. */
  takeChallenge(nonce: string, username: Username): Promise<boolean>
}

export type Login = { tokenHash: TokenHash; createdAt: number; expiresAt: number }

export type EnvelopeKind = 'message' | 'key_exchange'

/**
 * One stored message as nodes see it. `prev` is the `seq` of the preceding envelope of this inbox, even if that has
 * been trimmed; 0 for the first one ever.
 */
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
  /**
   * Sends of one stream (one connection) to one recipient stay in order: after a refusal that a retry may resolve, the
   * later ones of the batch are refused with the same result.
   */
  stream: string
  from: Username
  to: Username
  id: string
  kind: EnvelopeKind
  body: string
  ttlMs: number
}

export type AppendResult =
  /**
   * `queued`: no node listens for the recipient now. `repeated`: this id was stored before; the hint was sent again.
   */
  | { status: 'stored'; seq: number; queued: boolean; repeated: boolean }
  | { status: 'unknown_user' }
  | { status: 'id_reused' }
  /** The recipient does not accept messages from this sender, or an operator blocked the recipient. */
  | { status: 'forbidden' }
  | { status: 'inbox_full'; retryAfter: number }
  /** Memory is short, or the sender's budget is used up. */
  | { status: 'no_room'; why: StorageRefusal; retryAfter: number }
  /** The store refused the write, or its outcome is unknown: the sender repeats the same frame. */
  | { status: 'unavailable' }

/** How long a sender should wait before it retries a full inbox, s. */
export const fullRetryS = 60

export type Owner =
  | { kind: 'socket'; connection: ConnectionId; instance: string }
  /** An HTTP claim belongs to a token and is valid on every node. It ends `ttlMs` after the last `claim` or `read`. */
  | { kind: 'http'; connection: ConnectionId; ttlMs: number }

/** The right to read and trim one inbox. Every use passes the claim and is refused if a higher epoch exists. */
export type Claim = { username: Username; epoch: number; owner: Owner }

export type ReadLimit = { maxItems: number; maxBytes: number }

export interface Inboxes {
  /**
   * Appends in the given order, at most `maxBatchItems` and `maxBatchBytes` per call. Each item has its own result; a
   * failure of one inbox does not affect the others. Sends a hint to each listener: through `onNotice` on this node,
   * with one publish per other node.
   */
  append(items: readonly AppendItem[]): Promise<AppendResult[]>
  /**
   * A socket takes the inbox over from its current holder, which gets a `replaced` notice on its own node. An HTTP
   * owner gets a free inbox, or continues its own claim with the same epoch; otherwise the result is `conflict`. Each
   * socket claim needs a new connection id: if a call fails after the claim was granted, the store releases the claim
   * by this id.
   */
  claim(username: Username, owner: Owner): Promise<{ claim: Claim; queued: number } | 'conflict'>
  /**
   * Returns unexpired envelopes above `after`, oldest first. If there are any, returns at least one, whatever its
   * size.
   */
  read(claim: Claim, after: number, limit: ReadLimit): Promise<Envelope[] | 'stale'>
  /**
   * Returns whether `read` may find something. Cheaper than reading, for listeners that poll because hints can be
   * lost.
   */
  peek(claim: Claim, after: number): Promise<'some' | 'none' | 'stale'>
  /** Removes envelopes up to `seq`. `bad_ack`: `read` has not returned `seq` to this HTTP claim. */
  ack(claim: Claim, seq: number): Promise<'acked' | 'stale' | 'bad_ack'>
  /** Releases the claim. Does nothing if a later claim has replaced it. */
  release(claim: Claim): Promise<void>
  /** Returns the number of queued envelopes. */
  countQueued(username: Username): Promise<number>
  /**
   * Raises the number that the user reserved. With `signature`, the caller has checked it, and the number is kept with
   * it. Without, the number rises by `unsignedStep` at most, up to `maxUnsignedSteps`. Neither goes down.
   */
  reserve(username: Username, upTo: number, signature?: string): Promise<Reserved>
  /** Returns what `reserve` returned last. Also if the store is full. */
  readReserved(username: Username): Promise<Reserved>
}

/** `upTo` counts unsigned numbers, too. `reservation` is the highest number that the user signed. */
export type Reserved = { upTo: number; reservation?: { upTo: number; signature: string } }

export type OneTimeKey = { id: number; key: string }
export type OneTimeKemKey = { id: number; key: string; signature: string }
export type KeyUpload = {
  /** `counter` is the bundle's `seq`: an older bundle is a `conflict`. */
  bundle?: { text: string; counter: number }
  oneTimeKeys?: readonly OneTimeKey[]
  oneTimeKemKeys?: readonly OneTimeKemKey[]
  /** The one-time keys of this upload replace all that the pools hold. */
  replace?: boolean
}
export type KeyCounts = { oneTimeKeys: number; oneTimeKemKeys: number }
/** `replaced`: the pools were replaced. `sinceReplacedS`: seconds since that happened before, if it did. */
export type Published = KeyCounts & { replaced?: true; sinceReplacedS?: number }
export type FetchedKeys = { bundle: string; oneTimeKey?: OneTimeKey; oneTimeKemKey?: OneTimeKemKey }

export type FetchRefusal = 'unknown_user' | 'forbidden' | 'no_keys'

export interface Keys {
  /**
   * Keys beyond the capacity of a pool are ignored, and so are ids that the pool already contains. With `replace`, the
   * pools are emptied first, in the same step, and stored answers to earlier fetches are forgotten.
   */
  publish(username: Username, upload: KeyUpload): Promise<Published | 'conflict'>
  count(username: Username): Promise<KeyCounts>
  /**
   * Takes one key from each pool, atomically. The same requester and id get the same one-time keys for `fetchRepeatMs`.
   * Above the limit per target, or per requester and target, the result contains no one-time keys. `forbidden`: the
   * requester may not write to the user. If a pool falls below its low mark, the node where the user listens gets a
   * `keys-low` notice.
   */
  fetch(username: Username, requester: Username, id: string): Promise<FetchedKeys | FetchRefusal>
}

/** A rate that is counted over all nodes: per user, per user and recipient (`peer`), or per address. */
export type Bucket =
  | { kind: 'frames' | 'bytes' | 'calls' | 'fetches'; user: Username }
  | { kind: 'messages' | 'messageBytes'; user: Username; peer: Username }
  | { kind: 'registrations'; address: string }
export type BucketKind = Bucket['kind']
/** A bucket of `burst` tokens that is refilled with `perSecond` tokens a second. */
export type Rate = { perSecond: number; burst: number }
/** Grants at most `wanted` tokens, and none if fewer than `needed` are available. `needed` is at most the burst. */
export type LeaseRequest = { wanted: number; needed: number }
export type Lease = {
  granted: number
  /** Time until `needed` tokens are available if no other node takes any, ms. */
  waitMs: number
}

export interface Buckets {
  /** Takes tokens that this node then spends locally. Unspent tokens are lost; the bucket refills over time. */
  lease(bucket: Bucket, rate: Rate, request: LeaseRequest): Promise<Lease>
}

export interface Nodes {
  /**
   * Renews this node's lease; the node calls it every `renewMs`. `lapsed`: the lease had expired by the store's clock,
   * and other nodes may have released the claims of this node.
   * @throws {StoreUnavailableError}
   */
  renewLease(): Promise<'kept' | 'lapsed'>
  /** Marks the lease as uncertain after this process was paused: the store is not ready until the next renewal. */
  doubtLease(): void
  /** Releases the claims and index entries of dead nodes. Every node may call it at any time. */
  cleanUpDead(): Promise<void>
}

/**
 * A notice from the store to its node. Notices may be lost, late, repeated or out of order: correctness does not need
 * them.
 */
export type Notice =
  /** A new envelope for a claim of this node. If `envelope` is missing, the node must read the inbox. */
  | { kind: 'appended'; username: Username; epoch: number; envelope?: Envelope }
  /** A claim with a higher epoch replaced the claim of `connection`. `instance` is the new owner's, '' for HTTP. */
  | { kind: 'replaced'; username: Username; connection: ConnectionId; epoch: number; instance: string }
  /**
   * The user was deleted together with its claim. No higher epoch exists: the sockets close with their logins, whose
   * `revoked` notices follow.
   */
  | { kind: 'deleted'; username: Username }
  | { kind: 'keys-low'; username: Username; counts: KeyCounts }
  | { kind: 'revoked'; tokenHash: TokenHash }
  /** Ended tokens may have been missed: connections have to show their tokens again. */
  | { kind: 'revocations-lost' }
  /** An operator asked this node to drain. */
  | { kind: 'drain' }
  /** Notices may have been lost: the node must check every inbox that it has claimed. */
  | { kind: 'resumed' }
  /** This node was paused beyond its lease, or the store lost data: its claims are no longer valid. */
  | { kind: 'lease-lost' }
  /** Hints for another node were lost: it has no subscription, or too many hints wait to be sent. For metrics only. */
  | { kind: 'unheard'; why: Unheard }

type Unheard = 'no subscriber' | 'queue full'

/** Combines both numbers. An unsigned number above the bound is of an older release, and counts as none. */
export function toReserved(unsigned: number, reservation: Reserved['reservation']): Reserved {
  const known = [unsigned, reservation?.upTo ?? 0].filter(upTo => upTo <= limits.maxUnsignedSteps)
  return { upTo: Math.max(0, ...known), ...(reservation && { reservation }) }
}
