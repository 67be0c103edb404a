const minuteMs = 60_000
const hourMs = 60 * minuteMs
const dayMs = 24 * hourMs

/** The bounds of AIMessage 1 with their reasons (docs/E2E.md sections 7, 8 and 10). Times are in ms. */
export const cryptoLimits = {
  /** Message keys that one header may make us derive and skip: bounds the work for unauthenticated bytes. */
  maxSkippedPerMessage: 1000,
  /** Skipped message keys kept per session for late messages; the oldest are dropped first. */
  maxSkippedPerSession: 2000,
  maxSessionsPerPeer: 8,
  /** A complete body, in bytes: its base64url must fit into one frame. */
  maxBodyBytes: 92_160,
  /** The `body` inside a content, in bytes. */
  maxContentBytes: 65_536,
  /** Message ids in one receipt or reset: its recipient looks up each of them. */
  maxIdsPerContent: 500,
  /** Smallest padded content, in bytes: all short messages have this size. */
  minPaddedBytes: 256,
  /** Handshakes accepted from one peer: each one uses up our one-time keys and adds a session. */
  maxHandshakesPerHour: 10,
  maxHandshakesPerMinute: 3,
  minuteMs,
  hourMs,
  /** After this long without a reply, assume that the peer no longer has the prekeys we used. */
  unansweredMs: 30 * dayMs,
  /** A peer's new session counts as crossing ours until this long after our session was first answered. */
  crossingMs: 10 * minuteMs,
  /** Minimum interval between two resets, and between two renewals, with one peer. */
  resetIntervalMs: hourMs,
  renewAfterMs: 7 * dayMs,
  renewAfterMessages: 10_000,
  /** Messages received on one chain after which an empty answer is sent, so that the ratchet turns. */
  heartbeatAfter: 50,
  oneTimeKeys: 100,
  oneTimeKemKeys: 20,
  lowOneTimeKeys: 50,
  lowOneTimeKemKeys: 10,
  /**
   * Private one-time keys kept: four pools, because a refill after a lost answer makes new keys.
   * The oldest are dropped first.
   */
  maxHeldOneTimeKeys: 400,
  maxHeldOneTimeKemKeys: 80,
  rotatePrekeysMs: 7 * dayMs,
  /** At first contact an older bundle is refused: its owner has deleted the private keys, or a node hides newer. */
  maxBundleAgeMs: 37 * dayMs,
  keepPrekeysMs: 30 * dayMs,
  /** How long a retired private prekey is kept beyond the mailbox lifetime. */
  keepPrekeysBeyondMailboxMs: 7 * dayMs,
  maxReplaysPerPair: 4096,
  /** Our own offers that may wait for an answer at the same time. */
  maxOffers: 32,
  maxKeyId: 2 ** 31 - 1,
  /** The default of the deployment's MESSAGE_TTL_S, in ms. */
  mailboxLifetimeMs: 7 * dayMs,
} as const
