/**
 * What agents did and saw, one JSON line an event. `tm` is monotonic, ms; `inc` is the agent's how-manieth process. Above the socket a
 * message is named by `cid`, which stands in its text, and `h` is the SHA-256 of that; on the socket a frame is named by `frame`, and `h` is that of its body.
 */
export type HistoryEvent = Stamp & (AppEvent | WireEvent)

export type Stamp = { tm: number; client: string; inc: number }

/** As the application sees it. A send without an end may have happened or not: `info`, too, says so. */
export type AppEvent =
  | { ev: 'invoke'; cid: string; rcpt: string; h: string }
  | { ev: 'ok'; cid: string; rcpt: string; h: string; seq: number }
  | { ev: 'fail'; cid: string; rcpt: string; h: string; error: string }
  | { ev: 'info'; cid: string; rcpt: string; h: string; error: string }
  /** `by` tells clients of one agent in one process apart. */
  | { ev: 'recv'; by: number; cid: string; sender: string; h: string; repeated: boolean }
  | { ev: 'acked'; by: number; cid: string; sender: string }
  /** An event of the library. */
  | { ev: 'told'; name: string; detail: string }
  /** A promise that nobody minded, or an error that nobody caught. */
  | { ev: 'unhandled'; error: string }

/** As it goes over one connection. `epoch` is the generation that the node named at login. */
export type WireEvent =
  | { ev: 'open'; conn: string }
  | { ev: 'login'; conn: string; epoch: string }
  | { ev: 'listening'; conn: string; connEpoch: number; queued: number }
  /** `place` names the message key, `digest` what it encrypted to. */
  | { ev: 'sent'; conn: string; rcpt: string; frame: string; h: string; place?: string; digest?: string }
  | { ev: 'accepted'; conn: string; rcpt: string; frame: string; h: string; seq: number }
  | { ev: 'refused'; conn: string; rcpt: string; frame: string; h: string; code: string }
  | { ev: 'push'; conn: string; connEpoch: number; sender: string; frame: string; seq: number; prev: number; h: string }
  | { ev: 'trim'; conn: string; connEpoch: number; seq: number }
  | { ev: 'close'; conn: string; code: number; reason: string }
  /** A token's end was confirmed. */
  | { ev: 'revoked'; conn: string }

export type EventOf<Kind extends HistoryEvent['ev']> = Extract<HistoryEvent, { ev: Kind }>

/** The events of some kinds, in order. */
export function ofKind<Kind extends HistoryEvent['ev']>(
  history: readonly HistoryEvent[],
  ...kinds: Kind[]
): EventOf<Kind>[] {
  const wanted: ReadonlySet<string> = new Set(kinds)
  return history.filter((event): event is EventOf<Kind> => wanted.has(event.ev))
}

/** What a node did to the store and what came of it, from before the call to after it. */
export type AuditEvent = { node: string; tm: number; end: number } & AuditedStep

export type AuditedStep =
  | { op: 'append'; to: string; from: string; frame: string; seq: number; repeated: boolean }
  | { op: 'claim'; user: string; connEpoch: number }
  | { op: 'ack'; user: string; connEpoch: number; seq: number; outcome: 'acked' | 'stale' | 'bad_ack' }
  | { op: 'read'; user: string; connEpoch: number; outcome: 'read' | 'stale' }
  | { op: 'release'; user: string; connEpoch: number }
  | { op: 'register'; user: string; identity: string; outcome: string }
  | { op: 'fetch'; user: string; requester: string; request: string; keys: string[] }
  | { op: 'challenge'; nonce: string; taken: boolean }
