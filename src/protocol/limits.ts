/** Every bound of the protocol with its reason. Values an operator may change are defaults here and read in `server/config`. */
export const limits = {
  /** One frame on the socket, bytes: a full body, its fields and room to grow. */
  maxFrameBytes: 131_072,
  /** `body`, characters of base64url: 90 KiB of ciphertext, which holds 64 KiB of content padded. */
  maxBodyChars: 122_880,
  /** Nesting of a frame. The deepest one of ours has three levels; more is an attack on `JSON.stringify`. */
  maxDepth: 8,
  /** Envelopes pushed and not acknowledged, per connection: enough to fill a long line, little to push again. */
  maxUnacked: 256,
  /** The same in bytes of `body`. */
  maxUnackedBytes: 1_048_576,
  /** How often a client should show life, ms: below the idle time-outs of common proxies. */
  heartbeatMs: 25_000,
  /** WebSocket ping from the node, ms, and how long a silent peer is kept. */
  pingMs: 25_000,
  silenceMs: 35_000,
  /** A connection that has not logged in by then is closed, ms. */
  loginTimeoutMs: 10_000,
  /** Failed logins on one connection before it is closed. */
  maxLoginFailures: 3,
  /** Bytes waiting in a socket at which pushing pauses, and at which the peer is cut off. */
  pauseBufferedBytes: 262_144,
  maxBufferedBytes: 2_097_152,
  /** How long a paused peer may read nothing, ms. */
  slowConsumerMs: 30_000,
  /** Frames of one socket that wait their turn before the node stops reading from it. */
  maxQueuedFrames: 256,
  /** A nonce from `POST /v1/auth/challenge`, ms. */
  challengeTtlMs: 60_000,
  /** Tokens of one user; the oldest goes. */
  maxSessionsPerUser: 50,
  /** Envelopes that one sender may hold in another's inbox: below 1000, or skipped keys run out (docs/E2E.md section 10). */
  maxEnvelopesPerSender: 900,
  /** The part of an inbox's bytes that one sender may hold: a tenth. */
  senderShareOfBytes: 0.1,
  /** Users of one page of a listing. */
  maxPage: 500,
  defaultPage: 100,
  /** One-time keys a node holds for a user, and the marks below which it asks for more. */
  maxOneTimeKeys: 100,
  maxOneTimeKemKeys: 20,
  lowOneTimeKeys: 50,
  lowOneTimeKemKeys: 10,
  /** A repeated key fetch with the same id gets the same answer for so long, ms. */
  fetchRepeatMs: 60_000,
  /** Key fetches per requester, and with one-time keys per target, in one window. A coordinator may start with 500 agents at once. */
  maxFetchesPerRequester: 1_000,
  maxOneTimeFetchesPerTarget: 200,
  fetchWindowMs: 60_000,
  /** Envelopes and bytes in one script call: a long script stops every other user's. */
  maxBatchItems: 100,
  maxBatchBytes: 1_048_576,
  /** Longest wait of `GET /v1/inbox`, s: hosts and proxies cut calls at about 60. */
  maxWaitS: 50,
  /** How long a claim over HTTP lasts after its last call, ms. */
  httpClaimMs: 60_000,
  /** A node's lease on its connections, ms, and how often it renews: three renewals may be lost. */
  leaseMs: 12_000,
  renewMs: 3_000,
  /** How often a delivery loop looks at its inbox and its claim though nothing woke it, ms, plus up to a fifth. */
  deliveryCheckMs: 10_000,
  /** How often nodes read the stream of revoked tokens, ms. */
  revocationCheckMs: 500,
  /** Defaults of what an operator may set: see `.env.example`. */
  sessionTtlS: 86_400,
  messageTtlS: 604_800,
  dedupeWindowS: 600,
  inboxMaxMessages: 10_000,
  inboxMaxBytes: 16_777_216,
} as const
