const minuteMs = 60_000
const hourMs = 60 * minuteMs
const dayMs = 24 * hourMs

/** Every bound of AIMessage 1 with its reason (docs/E2E.md sections 7, 8 and 10). Times in ms. */
export const cryptoLimits = {
  /** Message keys one header may make us skip: more work than this is not done for bytes nobody has vouched for. */
  maxSkippedPerMessage: 1000,
  /** Message keys kept for what has not come yet; the oldest go first. */
  maxSkippedPerSession: 2000,
  maxSessionsPerPeer: 8,
  /** A complete body, bytes: its base64url is what a frame has room for. */
  maxBodyBytes: 92_160,
  /** The `body` inside a content, bytes. */
  maxContentBytes: 65_536,
  /** The smallest content: hides which of the short ones it is. */
  minPaddedBytes: 256,
  /** Handshakes accepted from one peer: each costs the other side one-time keys and us a session. */
  maxHandshakesPerHour: 10,
  maxHandshakesPerMinute: 3,
  minuteMs,
  hourMs,
  /** An own session nobody has answered for so long met keys that are gone. */
  unansweredMs: 30 * dayMs,
  /** Two starts may still cross when the own one was answered only so long ago. */
  crossingMs: 10 * minuteMs,
  /** Resets, and renewals, of one peer: repair must not become a storm. */
  resetIntervalMs: hourMs,
  renewAfterMs: 7 * dayMs,
  renewAfterMessages: 10_000,
  /** Received on one chain before an empty answer lets the ratchet turn. */
  heartbeatAfter: 50,
  oneTimeKeys: 100,
  oneTimeKemKeys: 20,
  lowOneTimeKeys: 50,
  lowOneTimeKemKeys: 10,
  /** Private one-time keys kept: four pools, because an upload whose answer was lost is made anew. The oldest go. */
  maxHeldOneTimeKeys: 400,
  maxHeldOneTimeKemKeys: 80,
  rotatePrekeysMs: 7 * dayMs,
  keepPrekeysMs: 30 * dayMs,
  /** How much longer than the mailbox keeps a message its prekey is kept. */
  keepPrekeysBeyondMailboxMs: 7 * dayMs,
  maxReplaysPerPair: 4096,
  /** Offers of ours that wait for an answer. */
  maxOffers: 32,
  maxKeyId: 2 ** 31 - 1,
  /** The default of a deployment's MESSAGE_TTL_S. */
  mailboxLifetimeMs: 7 * dayMs,
} as const
