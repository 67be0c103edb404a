import type { NodeId, TokenHash } from '../../ids.ts'
import type { Bucket } from '../../store.ts'

/** The name of every key in Redis. Braces keep what one user owns in one slot of a Cluster. */
const ofUser = (username: string, part: string): string => `aim:{${username}}:${part}`

export const userKey = (username: string): string => ofUser(username, 'user')
export const metaKey = (username: string): string => ofUser(username, 'meta')
export const inboxKey = (username: string): string => ofUser(username, 'inbox')
export const shareKey = (username: string): string => ofUser(username, 'share')
export const seenKeys = (username: string): [string, string] => [ofUser(username, 'seen:0'), ofUser(username, 'seen:1')]
export const keysKey = (username: string): string => ofUser(username, 'keys')
export const oneTimeKeysKey = (username: string): string => ofUser(username, 'otk')
export const oneTimeKemKeysKey = (username: string): string => ofUser(username, 'kem')
/** The answer that one key fetch got. */
export const fetchedKey = (username: string, requester: string, id: string): string =>
  ofUser(username, `fetched:${requester}:${id}`)
/** What a user says of others: who may write to it. */
export const rulesKey = (username: string): string => ofUser(username, 'rules')
/** How often each requester took one-time keys of a user lately. */
export const takersKey = (username: string): string => ofUser(username, 'takers')
/** What is left of a rate. */
export function bucketKey(bucket: Bucket): string {
  if ('address' in bucket) return `aim:rate:${bucket.kind}:${bucket.address}`
  return ofUser(bucket.user, 'peer' in bucket ? `rate:${bucket.kind}:${bucket.peer}` : `rate:${bucket.kind}`)
}
/** What a user says of itself, and the tags in it. */
export const cardKey = (username: string): string => ofUser(username, 'card')
export const loginsKey = (username: string): string => ofUser(username, 'sessions')

/** Tokens that a deletion still has to end. */
export const endedKey = (username: string): string => ofUser(username, 'ended')

export const loginKey = (tokenHash: TokenHash): string => `aim:session:${tokenHash}`
export const challengeKey = (nonce: string): string => `aim:challenge:${nonce}`
export const inviteKey = (inviteHash: string): string => `aim:invite:${inviteHash}`

/** What every node has to learn: ended tokens, and what `BroadcastStream` says besides. */
export const revokedKey = 'aim:revoked'
/** Invites by when they expire. */
export const invitesKey = 'aim:invites'
export const usersKey = 'aim:users'
/** Users whose card names a capability. */
export const capabilityKey = (capability: string): string => `aim:cap:${capability}`
export const onlineKey = 'aim:online'
/** When to look at whom: mail past its ttl, deletions half done. */
export const dueKey = 'aim:due'
export const nodesKey = 'aim:nodes'
export const schemaKey = 'aim:schema'
/** Random, made once: a Redis that was emptied has another one. */
export const generationKey = 'aim:generation'
export const fenceKey = 'aim:fence'

export const nodeUsersKey = (node: NodeId): string => `aim:node:${node}:users`
export const nodeChannel = (node: NodeId): string => `aim:node:${node}`
export const cleanUpLock = (node: NodeId): string => `aim:lock:clean-up:${node}`
export const expiryLock = 'aim:lock:expiry'
