import type { Username } from '../protocol/names.ts'

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
  /** The recipient's client has it on disk, or its application has acknowledged it. */
  delivered: { id: string; to: Username }
  read: { id: string; to: Username }
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
  /** A body that could not be decrypted was set aside. */
  undecryptable: { from: Username; reason: string }
  /** Something of this client's own went wrong; what it was about is tried again. */
  failed: { error: Error }
  /** This state was an older copy of one that went on: its sessions were dropped, and so many peers are told. */
  restored: { peers: number }
  /** One-time keys were refilled. */
  published: { oneTimeKeys: number; oneTimeKemKeys: number }
  /** Redis may have lost writes: what has no receipt is sent again. */
  generation: { from: string; to: string }
}
