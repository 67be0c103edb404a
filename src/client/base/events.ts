import type { Username } from '../../protocol/names.ts'

/**
 * What the client does about an undecryptable body: `reset` asks the peer to send it again over a new session, `retry`
 * tries the same bytes again, `none` does nothing.
 */
export type Remedy = 'reset' | 'retry' | 'none'

/** Events of a client, for operators and user interfaces. No event requires a reaction. */
export type ClientEvents = {
  /** Logged in. */
  connected: Record<string, never>
  /** `reason` is in this client's words, if it has any; `serverSaid` has the node's words, cut. */
  disconnected: { code: number; reason: string; serverSaid?: string }
  /** An attempt to connect failed. The next one follows after `waitMs`. */
  reconnecting: { attempt: number; waitMs: number; error: Error }
  /** This connection claimed the inbox, with the number `epoch`. `queued` envelopes wait at the node. */
  listening: { epoch: number; queued: number }
  /** Another connection listens for this user now. The node says that it is `instance`; empty if it gives no id. */
  replaced: { instance: string }
  /** The node skipped or repeated an envelope. The client reads the inbox again from its start. */
  gap: { expected: number; prev: number }
  /** After a `gap`: all envelopes that waited at the node have arrived, in order. */
  'gap-healed': Record<string, never>
  /**
   * A message of `from` arrived after a message that `from` encrypted later, and is shown after it. Senders send in
   * order and a node keeps that order, so either the node is dishonest, or it lost and regained stored data, or this
   * client had quarantined the message (in that case it also emits `recovered`).
   */
  reordered: { from: Username; id: string }
  /** The recipient's client has the message on disk (`delivered`), or its application has acknowledged it (`read`). */
  delivered: { id: string; to: Username }
  read: { id: string; to: Username }
  /** A peer no longer waits for the reply to its request. */
  withdrawn: { from: Username; id: string }
  /** A message will never be sent, for the reason `error`. */
  refused: { id: string; to: Username; error: Error }
  /** A message is delayed by a temporary problem. */
  delayed: { id: string; to: Username; error: Error }
  /** A peer's identity key differs from the pinned one. Both directions stop until the user decides. */
  'key-changed': { peer: Username }
  /**
   * The user pinned another key of `peer`. This number of unread messages came under an earlier key and is not shown.
   */
  withheld: { peer: Username; messages: number }
  /** A new session: this agent started it (`initiated`), or the peer did. */
  session: { peer: Username; initiated: boolean }
  /**
   * The peer started a new session and asked for the messages that it could not read. `resent` messages are sent again;
   * `withheld` are not, because they were sent again within the last hour, or because they are too many. Without a
   * receipt they are given up at the end of their ttl, which `refused` reports. `ignored`: the request did not open a
   * session, so nothing was done.
   */
  'peer-reset': { peer: Username; reason: string; resent: number; withheld: number; ignored?: true }
  /**
   * A body could not be decrypted. `from` is empty if the node named no valid sender. The body is quarantined under the
   * name `aside`, if there was one to keep. `remedy` says what follows: `reset`, the peer is asked, at most once an
   * hour, to start a new session and to send unconfirmed messages again; `retry`, the client tries the same bytes
   * again; `none`, this client can do nothing.
   */
  undecryptable: { from: string; aside?: string; reason: string; remedy: Remedy }
  /**
   * The quarantine is full, and a body of `from` was deleted from it: the sender that has most in it loses first.
   * `remedy` is `reset` if the peer is asked to send the message again.
   */
  evicted: { from: Username; aside: string; remedy: Remedy }
  /**
   * Too much of `from`, or of all strangers together, waits unread: this message or request was not taken. Its sender
   * gets no receipt, and a message about it, at most one an hour.
   */
  'not-taken': { from: Username; id: string; reason: string }
  /** A quarantined body could be decrypted after all. Its content was processed like any other. */
  recovered: { from: Username; aside: string }
  /**
   * The peer has answered this agent's reset and sends again every message that was not confirmed. Whether the
   * quarantined bodies are among them cannot be known.
   */
  repaired: { peer: Username }
  /**
   * A record of the state could not be read. It was set aside, and everything else goes on. `record` is its key, `peer`
   * the agent that it belongs to, and `reason` says what it means and what to do.
   */
  unreadable: { record: string; peer?: string; reason: string }
  /** An internal step of the client failed. The client tries it again. */
  failed: { error: Error }
  /**
   * This state was an older copy of one that continued elsewhere. Its sessions were dropped; `peers` peers get a reset.
   * `again` is true if that happened to this agent within the last hour already: then the state is probably copied at
   * every start, or used in two places, and messages to and from this agent are delayed or lost.
   */
  restored: { peers: number; again: boolean }
  /** The node has few of this agent's one-time keys left. The client makes new ones. */
  'keys-low': { oneTimeKeys: number; oneTimeKemKeys: number }
  /** One-time keys were refilled. */
  published: { oneTimeKeys: number; oneTimeKemKeys: number }
  /**
   * The server had lost this agent; the agent has claimed its name again with the same key. The application must set
   * writers and rules again.
   */
  'registered-again': Record<string, never>
  /** Redis may have lost writes. The client sends messages without a receipt again. */
  generation: { from: string; to: string }
}
