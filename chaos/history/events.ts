/**
 * The actions and observations of agents, one JSON line per event. `tm` is monotonic, in ms; `inc` is the number of the
 * agent's process, from 1. Events of the application name a message by `cid`, which its text contains, and `h` is the
 * SHA-256 of the text. Events of the socket name a frame by `frame`, and `h` is the SHA-256 of its body.
 */
export type HistoryEvent = Stamp & (AppEvent | WireEvent)

type Stamp = { tm: number; client: string; inc: number }

/** Events of the application. The outcome of a send without an end, or with `info`, is unknown. */
export type AppEvent =
  | { ev: 'invoke'; cid: string; rcpt: string; h: string }
  | { ev: 'ok'; cid: string; rcpt: string; h: string; seq: number }
  | { ev: 'fail'; cid: string; rcpt: string; h: string; error: string }
  | { ev: 'info'; cid: string; rcpt: string; h: string; error: string }
  /** `by` distinguishes the clients of one agent in one process. */
  | { ev: 'recv'; by: number; cid: string; sender: string; h: string; repeated: boolean }
  | { ev: 'acked'; by: number; cid: string; sender: string }
  /** An event of the library. */
  | { ev: 'client-event'; name: string; detail: string }
  /** An unhandled rejection or an uncaught exception. */
  | { ev: 'unhandled'; error: string }

/** Events of one connection. `epoch` is the generation that the node named at login. */
export type WireEvent =
  | { ev: 'open'; conn: string }
  | { ev: 'login'; conn: string; epoch: string }
  | { ev: 'listening'; conn: string; connEpoch: number; queued: number }
  /** `place` names the message key, `digest` is the hash of its ciphertext. */
  | { ev: 'sent'; conn: string; rcpt: string; frame: string; h: string; place?: string; digest?: string }
  | { ev: 'accepted'; conn: string; rcpt: string; frame: string; h: string; seq: number }
  | { ev: 'refused'; conn: string; rcpt: string; frame: string; h: string; code: string }
  | { ev: 'push'; conn: string; connEpoch: number; sender: string; frame: string; seq: number; prev: number; h: string }
  | { ev: 'trim'; conn: string; connEpoch: number; seq: number }
  | { ev: 'close'; conn: string; code: number; reason: string }
  /** The node confirmed the end of a token. */
  | { ev: 'revoked'; conn: string }

export type EventOf<Kind extends HistoryEvent['ev']> = Extract<HistoryEvent, { ev: Kind }>

/** Returns the events of the given kinds, in order. */
export function ofKind<Kind extends HistoryEvent['ev']>(
  history: readonly HistoryEvent[],
  ...kinds: Kind[]
): EventOf<Kind>[] {
  const wanted: ReadonlySet<string> = new Set(kinds)
  return history.filter((event): event is EventOf<Kind> => wanted.has(event.ev))
}

/** One call of a node to its store with its outcome. `tm` is before the call, `end` after it, in ms. */
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
