import type { Username } from '../../protocol/names.ts'

/**
 * What the client does about an undecryptable body: `reset` asks the peer to send it again over a new session, `retry`
 * tries the same bytes again, `none` does nothing.
 */
export type Remedy = 'reset' | 'retry' | 'none'

/** What an operator would want to know. None of these needs an answer. */
export type ClientEvents = {
  /** Logged in. */
  connected: Record<string, never>
  disconnected: { code: number; reason: string }
  /** An attempt failed; the next one comes after `waitMs`. */
  reconnecting: { attempt: number; waitMs: number; error: Error }
  /** This client's inbox is claimed, under `epoch`; `queued` envelopes wait. */
  listening: { epoch: number; queued: number }
  /** Another connection listens for this user now. */
  replaced: { instance: string }
  /** The node skipped or repeated an envelope; the inbox is read again from its start. */
  gap: { expected: number; prev: number }
  /** After a `gap`: everything that waited at the node has arrived, in order. */
  'gap-healed': Record<string, never>
  /**
   * A message of `from` came after one that `from` encrypted later, and is shown after it. A node keeps the order of a sender, and senders
   * send in order: the node lies, it has lost and got back what it stored, or this side had set the message aside (then it is `recovered`, too).
   */
  reordered: { from: Username; id: string }
  /** The recipient's client has it on disk, or its application has acknowledged it. */
  delivered: { id: string; to: Username }
  read: { id: string; to: Username }
  /** A peer no longer waits for the answer to its request. */
  withdrawn: { from: Username; id: string }
  /** A message will never be sent, and why. */
  refused: { id: string; to: Username; error: Error }
  /** A message is held up for a reason that may pass. */
  delayed: { id: string; to: Username; error: Error }
  /** A peer's identity key is not the one met first. Both directions stop until somebody decides. */
  'key-changed': { peer: Username }
  /** A new session, started here or by the peer. */
  session: { peer: Username; initiated: boolean }
  /** The peer started anew and asks for what it could not read. */
  'peer-reset': { peer: Username; reason: string; resent: number }
  /**
   * A body could not be read and was set aside, under the name `aside` (where there was anything to keep). What comes next: `reset`, the peer is
   * asked to start anew and to send again what was not confirmed, at most once an hour; `retry`, the same bytes are tried
   * again; `none`, nothing can be done here.
   */
  undecryptable: { from: string; aside?: string; reason: string; remedy: Remedy }
  /** A body that was set aside could be read after all; its content is where it belongs. */
  recovered: { from: Username; aside: string }
  /**
   * The peer has answered a reset of ours: it sends again everything that was not confirmed to it. Whether what was set aside was among that
   * cannot be known, and is not claimed.
   */
  repaired: { peer: Username }
  /** Something of this client's own went wrong; what it was about is tried again. */
  failed: { error: Error }
  /** This state was an older copy of one that went on: its sessions were dropped, and so many peers are told. */
  restored: { peers: number }
  /** The node has few one-time keys left for those who want to write; new ones are made. */
  'keys-low': { oneTimeKeys: number; oneTimeKemKeys: number }
  /** One-time keys were refilled. */
  published: { oneTimeKeys: number; oneTimeKemKeys: number }
  /** The server did not know this agent any more, and has its name for the same key again. Who may write, and whom it blocked, is to be said anew. */
  'registered-again': Record<string, never>
  /** Redis may have lost writes: what has no receipt is sent again. */
  generation: { from: string; to: string }
}
