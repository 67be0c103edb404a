import type { NodeId, TokenHash } from '../store.ts'

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
/** How many key fetches a user made lately. */
export const fetchesKey = (username: string): string => ofUser(username, 'fetches')
export const sessionsKey = (username: string): string => ofUser(username, 'sessions')

export const sessionKey = (tokenHash: TokenHash): string => `aim:session:${tokenHash}`
export const challengeKey = (nonce: string): string => `aim:challenge:${nonce}`
export const inviteKey = (inviteHash: string): string => `aim:invite:${inviteHash}`

export const revokedKey = 'aim:revoked'
export const usersKey = 'aim:users'
export const onlineKey = 'aim:online'
export const nodesKey = 'aim:nodes'
export const schemaKey = 'aim:schema'
/** Random, made once: a Redis that was emptied has another one. */
export const generationKey = 'aim:generation'
export const fenceKey = 'aim:fence'

export const nodeUsersKey = (node: NodeId): string => `aim:node:${node}:users`
export const nodeChannel = (node: NodeId): string => `aim:node:${node}`
export const cleanUpLock = (node: NodeId): string => `aim:lock:clean-up:${node}`
