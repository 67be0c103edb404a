/** A node process: random, new at each start. */
export type NodeId = string
/** One socket, or the owner of an HTTP claim. */
export type ConnectionId = string
/** SHA-256 of a login's token. Tokens themselves are never stored. */
export type TokenHash = string
