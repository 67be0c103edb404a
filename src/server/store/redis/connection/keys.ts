import type { NodeId, TokenHash } from '../../ids.ts'
import type { Bucket } from '../../store.ts'

/**
 * The data model: every key in Redis, its type and its content. Times are ms since 1970 by Redis' clock.
 *
 * Keys of one user. The braces put them into one slot of a Cluster, so that one script can use them together:
 *
 *     aim:{u}:user      hash    identity, registeredAt, lastSeenAt, deleted, origin (hash of the registering address)
 *     aim:{u}:meta      hash    the state of inbox and settings, see below
 *     aim:{u}:inbox     stream  id `seq-0`; fields e (`id from kind prev sentAt expiresAt bytes`) and b (body)
 *     aim:{u}:share     hash    sender -> `count bytes` of its queued mail; only kept while meta has `shared`
 *     aim:{u}:seen:0|1  hash    `id from` -> `seq fingerprint`; the two hashes alternate, each takes the entries of one
 *                               dedupe window and is kept for the next window
 *     aim:{u}:keys      hash    bundle, counter; since and taken: one-time keys handed out in the current window;
 *                               replaced and pool: when the user last replaced its pools of one-time keys, ms
 *     aim:{u}:otk       list    one-time keys, `id key`
 *     aim:{u}:kem       list    one-time KEM keys, `id key signature`
 *     aim:{u}:fetched:requester:id  string  the answer to one key fetch (MessagePack); expires
 *     aim:{u}:takers    hash    requester -> one-time keys it took in the current window; expires
 *     aim:{u}:rules     hash    other user -> allowed, blocked or contact
 *     aim:{u}:known     hash    users it wrote to -> 1: they may write to it while memory is scarce
 *     aim:{u}:rate:kind[:peer]      string  a token bucket, `tokens at`; expires when it is full
 *     aim:{u}:card      hash    card, counter, capabilities (separated by spaces)
 *     aim:{u}:sessions  zset    token hashes of logins, by creation time in µs
 *     aim:{u}:ended     zset    token hashes that a deletion must still revoke
 *
 * Fields of meta:
 *
 *     live              1 while the user is registered
 *     lives             how often the user was deleted
 *     seq, epoch        the last sequence number and the last epoch that were assigned
 *     count, bytes      envelopes in the inbox and the bytes of their bodies
 *     held              of a small inbox: `sender count bytes` of each sender, as counted in aim:stored
 *     shared            1 while aim:{u}:share is kept: the inbox is so large that one sender may exceed its share
 *     owner, node       the current claim: `s node connection` or `h connection`, and the node that gets its hints
 *     until, returned   of an HTTP claim: when it expires, and the highest seq that it was given
 *     seen, seenBefore  dedupe windows of the newest entry, and of the newest entry in the other hash
 *     reserved          the client's reserved number, without a signature
 *     signed            the highest number that the client signed; sign1 and sign2 are the halves of the signature,
 *                       because one long field would cost meta its compact encoding
 *     expires           no envelope in the inbox expires before this time
 *     due               the user's time in aim:due, as far as known
 *     sweptTo, sweptMin position and lowest expiry of a sweep that stopped half way
 *     fence, sweepFence highest fencing numbers of a cleanup after a dead node, and of a sweep
 *     leaving           1 while a deletion is incomplete
 *     writers           who may write to the user; absent for anyone
 *     blocks            how many users it blocked
 *     closed            1 if an operator blocked the name
 *     access            derived from writers, blocks and closed; absent if anyone may write
 *
 * Keys of the deployment. Indexes are in other slots than the users, so they are repaired on reads:
 *
 *     aim:session:hash       string  username of a login, by the token's hash; expires
 *     aim:challenge:nonce    string  username; expires
 *     aim:invite:hash        string  empty, or `name identity` of the user that used the invite; expires
 *     aim:rate:kind:address  string  a token bucket of an address
 *     aim:stored:origin      hash    what the users of one address have stored: mail, @user (mail of one), brief
 *                                    (dedupe entries and the like), own (the users and their rules)
 *     aim:salt               string  random, created once: for the hashes of addresses
 *     aim:invites            zset    `expiry hash` of invites, all with score 0; the expiry has 16 digits
 *     aim:users              zset    usernames, all with score 0
 *     aim:online             zset    usernames that a socket listens for, all with score 0
 *     aim:cap:capability     zset    usernames whose card lists the capability, all with score 0
 *     aim:due                zset    username by the time at which a sweep must check it
 *     aim:nodes              zset    node id by the end of its lease
 *     aim:node:id:users      set     usernames that listen on a node
 *     aim:node:id            channel notices for a node, JSON
 *     aim:revoked            stream  events for all nodes: token, writers or drain -> token hash, username or node id
 *     aim:schema             string  version of this data model
 *     aim:domain             string  DOMAIN of the nodes
 *     aim:generation         string  random, created once: an emptied Redis gets a new one
 *     aim:fence              string  the last fencing number
 *     aim:lock:…             string  locks of redlock; expire
 */
const ofUser = (username: string, part: string): string => `aim:{${username}}:${part}`

export const userKey = (username: string): string => ofUser(username, 'user')
export const metaKey = (username: string): string => ofUser(username, 'meta')
export const inboxKey = (username: string): string => ofUser(username, 'inbox')
export const shareKey = (username: string): string => ofUser(username, 'share')
export const seenKeys = (username: string): [string, string] => [ofUser(username, 'seen:0'), ofUser(username, 'seen:1')]
export const keysKey = (username: string): string => ofUser(username, 'keys')
export const oneTimeKeysKey = (username: string): string => ofUser(username, 'otk')
export const oneTimeKemKeysKey = (username: string): string => ofUser(username, 'kem')
export const fetchedKey = (username: string, requester: string, id: string): string =>
  ofUser(username, `fetched:${requester}:${id}`)
export const takersKey = (username: string): string => ofUser(username, 'takers')
export const rulesKey = (username: string): string => ofUser(username, 'rules')
export const knownKey = (username: string): string => ofUser(username, 'known')
export const cardKey = (username: string): string => ofUser(username, 'card')
export const loginsKey = (username: string): string => ofUser(username, 'sessions')
export const endedKey = (username: string): string => ofUser(username, 'ended')

export function bucketKey(bucket: Bucket): string {
  if ('address' in bucket) return `aim:rate:${bucket.kind}:${bucket.address}`
  return ofUser(bucket.user, 'peer' in bucket ? `rate:${bucket.kind}:${bucket.peer}` : `rate:${bucket.kind}`)
}

export const loginKey = (tokenHash: TokenHash): string => `aim:session:${tokenHash}`
export const challengeKey = (nonce: string): string => `aim:challenge:${nonce}`
export const inviteKey = (inviteHash: string): string => `aim:invite:${inviteHash}`

export const storedKey = (origin: string): string => `aim:stored:${origin}`
export const saltKey = 'aim:salt'

export const invitesKey = 'aim:invites'
export const usersKey = 'aim:users'
export const onlineKey = 'aim:online'
export const capabilityKey = (capability: string): string => `aim:cap:${capability}`
export const dueKey = 'aim:due'
export const nodesKey = 'aim:nodes'
export const nodeUsersKey = (node: NodeId): string => `aim:node:${node}:users`
export const nodeChannel = (node: NodeId): string => `aim:node:${node}`
export const broadcastKey = 'aim:revoked'
export const schemaKey = 'aim:schema'
export const domainKey = 'aim:domain'
export const generationKey = 'aim:generation'
export const fenceKey = 'aim:fence'

export const cleanUpLock = (node: NodeId): string => `aim:lock:clean-up:${node}`
export const expiryLock = 'aim:lock:expiry'
