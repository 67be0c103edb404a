import type { RawFrame } from '../protocol/codec.ts'

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
  /** Once, whatever happened. `status` is the HTTP status of an upgrade that was refused. */
  closed(end: SocketEnd): void
}

export type SocketEnd = { code: number; reason: string; status?: number }

/** Opens a WebSocket with the subprotocol `aimessage.v1`. Handlers are never called before it returns. */
export type Dial = (url: string, handlers: SocketHandlers) => Socket

export const subprotocol = 'aimessage.v1'
