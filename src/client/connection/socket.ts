import type { RawFrame } from '../../protocol/codec.ts'

/** What a link needs of a WebSocket, whichever implementation it is. */
export type Socket = {
  send(text: string): void
  /** Starts the closing handshake. */
  close(): void
  /** Drops the connection at once, where the platform can; `closed` follows in any case. */
  terminate(): void
}

export type SocketHandlers = {
  opened(): void
  frame(raw: RawFrame): void
  /** Once, whatever happened. */
  closed(end: SocketEnd): void
}

/** `status` and `retryAfter` (s) are of the HTTP answer to an upgrade that was refused, where the platform tells. */
export type SocketEnd = { code: number; reason: string; status?: number; retryAfter?: number }

/** Opens a WebSocket with the subprotocol `aimessage.v1`. Handlers are never called before it returns. */
export type Dial = (url: string, handlers: SocketHandlers) => Socket

export const subprotocol = 'aimessage.v1'
