/** The part of a WebSocket that a link uses, independent of the implementation. */
export type Socket = {
  send(text: string): void
  /** Starts the closing handshake. */
  close(): void
  /** Drops the connection at once, if the platform can. `closed` is called in any case. */
  terminate(): void
}

export type SocketHandlers = {
  opened(): void
  frame(raw: string | Uint8Array): void
  /** Called exactly once, whatever the reason. */
  closed(end: SocketEnd): void
}

/**
 * `reason` is in this client's words, and `said` in the node's. `status` and `retryAfter` (s) come from the HTTP
 * answer to a refused upgrade, if the platform reports it.
 */
export type SocketEnd = { code: number; reason: string; said?: string; status?: number; retryAfter?: number }

/** Opens a WebSocket with the subprotocol `aimessage.v1`. Calls no handler before it returns. */
export type Dial = (url: string, handlers: SocketHandlers) => Socket

export const subprotocol = 'aimessage.v1'
