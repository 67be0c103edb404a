/**
 * The bounds of the protocol with their reasons. Values that an operator may change are defaults here;
 * `server/base/config` reads them.
 */
export const limits = {
  /** One frame on the socket, in bytes: a full body, the other fields and room for new ones. */
  maxFrameBytes: 131_072,
  /** `body`, in characters of base64url: 90 KiB of ciphertext, enough for 64 KiB of padded content. */
  maxBodyChars: 122_880,
  /** Nesting levels of a frame. The deepest frame type has three; deep nesting would overflow `JSON.stringify`. */
  maxDepth: 8,
  /**
   * How far one `reserve` without a signature raises the number, and up to which number. An older client continues
   * with its next call. 2^48 is a thousand messages a second for 8900 years; no older client fails below 2^52.
   */
  unsignedStep: 65_536,
  maxUnsignedSteps: 2 ** 48,
  /** The highest number that a user may sign. Above 2^52, because a lying node could set older clients to that. */
  maxSignedSteps: 2 ** 53 - 2 ** 40,
  /** Envelopes pushed and not acknowledged, per connection: enough for a slow link, few to push again. */
  maxUnacked: 256,
  /** The same limit in bytes of `body`. */
  maxUnackedBytes: 1_048_576,
  /** Interval of a client's heartbeats, in ms: below the idle time-outs of common proxies. */
  heartbeatMs: 25_000,
  /** Interval of the node's WebSocket pings, and the silence after which it drops a peer, in ms. */
  pingMs: 25_000,
  silenceMs: 35_000,
  /** A connection without a login is closed after this time, in ms. */
  loginTimeoutMs: 10_000,
  /** Failed logins after which a connection is closed. */
  maxLoginFailures: 3,
  /** Bytes waiting in a socket at which pushing pauses, and at which the node closes the connection. */
  pauseBufferedBytes: 262_144,
  maxBufferedBytes: 2_097_152,
  /** How long a client with a paused push may read nothing, in ms. */
  slowConsumerMs: 30_000,
  /** Frames of one connection that may wait before the node stops reading from the socket. */
  maxQueuedFrames: 256,
  /** Lifetime of a nonce from `POST /v1/auth/challenge`, in ms. */
  challengeTtlMs: 60_000,
  /** Tokens of one user; a further login ends the oldest. */
  maxSessionsPerUser: 50,
  /**
   * Envelopes that one sender may hold in a recipient's inbox: fewer than the 1000 message keys that a recipient can
   * skip (docs/E2E.md section 10).
   */
  maxEnvelopesPerSender: 900,
  /** The share of an inbox's bytes that one sender may hold. */
  senderShareOfBytes: 0.1,
  /** Users in one page of a listing. */
  maxPage: 500,
  defaultPage: 100,
  /** Names that one listing looks at. Without this bound a rare filter would read all users of a deployment. */
  maxLookups: 500,
  /** Names of a listing, and rules of a user, that cost one token of the caller's rate: about as much as a message. */
  lookupsPerToken: 5,
  rulesPerToken: 50,
  /** A user's card, in bytes. */
  maxCardBytes: 4_096,
  /** Capabilities of a card: each one takes an index entry. */
  maxCapabilities: 16,
  /** Users in one page of a listing with cards: about the size of one frame. */
  maxCardPage: 20,
  /** One-time keys that a node holds for a user, and the marks below which it asks for more. */
  maxOneTimeKeys: 100,
  maxOneTimeKemKeys: 20,
  lowOneTimeKeys: 50,
  lowOneTimeKemKeys: 10,
  /** How long a repeated key fetch with the same id gets the same answer, in ms. */
  fetchRepeatMs: 60_000,
  /** Key fetches of one user, as a burst and then per minute: a coordinator may contact 500 agents at once. */
  maxFetchesPerRequester: 1_000,
  /**
   * Fetches with one-time keys per window, for each target and for each pair of requester and target. No requester can
   * drain a pool alone, and two agents that start again get their keys.
   */
  maxOneTimeFetchesPerTarget: 200,
  maxOneTimeFetchesPerPair: 20,
  fetchWindowMs: 60_000,
  /** Users that one user allows, blocks or keeps as contacts: 400 KB of names. A coordinator has thousands. */
  maxRules: 10_000,
  /** Logins and upgrades from one address: 1000 agents may share a proxy; a flood costs signature checks. */
  arrivalsPerS: 100,
  arrivalsBurst: 2_000,
  /** Burst of upgrades, and of logins on connections, that a node accepts above its rate. */
  upgradesBurst: 10,
  /**
   * How long an upgrade or a login may wait before the node answers with a retry time, in ms: far less than a client's
   * handshake time-out.
   */
  maxUpgradeWaitMs: 3_000,
  /** The longest such retry time, in seconds. */
  maxUpgradeRetryS: 20,
  /** Frames of a connection before its login: a login takes one frame, and frames cost their sender nothing. */
  strangerFramesPerS: 10,
  strangerFramesBurst: 200,
  /** Calls of the operator's routes from one address: enough to page through lists. A wrong token counts as ten. */
  operatorCallsPerS: 10,
  operatorCallsBurst: 200,
  /** WebSocket pings and pongs of one connection: a correct client sends few. */
  controlFramesPerS: 20,
  controlFramesBurst: 500,
  /**
   * Refusals with a time for the retry that a user gets on one node before the node reads its frames more slowly. The
   * burst is more than a correct client has in flight.
   */
  refusalsPerS: 10,
  refusalsBurst: 500,
  /** If a user exceeds its rate by no more than this, the node reads more slowly instead of refusing, in ms. */
  maxHoldMs: 1_000,
  /** Shortest pause of a slowed connection, in ms: a timer for each frame would cost more than the frames. */
  minHoldMs: 20,
  /** The share of a rate that each node allows without counting in Redis, so that quiet users cost Redis nothing. */
  uncountedShare: 0.05,
  /** The share of a burst that a node takes from Redis at once: one call for hundreds of frames. */
  leaseShare: 0.1,
  /** HTTP calls of one user. A user that needs more can use a socket, where a frame costs a tenth of a call. */
  userCallsPerS: 500,
  userCallsBurst: 5_000,
  /** Bursts of the configurable rates, in seconds of the rate: 500 of the largest bodies at once, or a full inbox. */
  userFramesBurstS: 2,
  userBytesBurstS: 8,
  pairMessagesBurstS: 2,
  /** The share of a user's byte rate that may go to one recipient. */
  pairShareOfBytes: 0.5,
  /** Envelopes and bytes in one script call: a long script blocks the calls of all other users. */
  maxBatchItems: 100,
  maxBatchBytes: 1_048_576,
  /** Longest wait of `GET /v1/inbox`, in seconds: hosts and proxies end calls after about 60 s. */
  maxWaitS: 50,
  /** How long a claim over HTTP lasts after its last call, in ms. */
  httpClaimMs: 60_000,
  /** A node's lease and its renewal interval, in ms: three renewals may be lost. */
  leaseMs: 12_000,
  renewMs: 3_000,
  /** How often a delivery loop checks its inbox and its claim without a notice, in ms. */
  deliveryCheckMs: 10_000,
  /** How often nodes read the stream of revoked tokens, in ms. */
  revocationCheckMs: 500,
  /** Lifetime of an invite, default and maximum, in seconds. */
  inviteTtlS: 86_400,
  maxInviteTtlS: 2_592_000,
  /** Time for the headers and for the whole of an HTTP or upgrade request, in ms, against very slow senders. */
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 12_000,
  /** How often a node checks for late requests, in ms. */
  lateCheckMs: 1_000,
  /** TCP connections besides the WebSockets: probes, HTTP calls, and connections that wait to be refused. */
  httpReserve: 1_000,
  /** The retry time for a connection above the limit, in seconds. */
  fullRetryS: 10,
  /** Defaults of the operator's settings: see `.env.example`. */
  maxConnections: 15_000,
  maxConnectionsPerAddress: 5_000,
  maxConnectionsPerUser: 100,
  maxStrangers: 2_000,
  /** A third of one core's time: thousands of reconnects leave the rest to the open connections. */
  upgradesPerS: 200,
  userFramesPerS: 5_000,
  userBytesPerS: 8_388_608,
  pairMessagesPerS: 1_000,
  registrationsPerHour: 1_000,
  sessionTtlS: 86_400,
  messageTtlS: 604_800,
  dedupeWindowS: 600,
  inboxMaxMessages: 10_000,
  inboxMaxBytes: 16_777_216,
  /**
   * What one sender, and the users of one address, may have stored over all inboxes: two, and sixteen, full inboxes.
   */
  senderMaxBytes: 33_554_432,
  addressMaxBytes: 268_435_456,
  /** The share of the free memory of Redis that the mail of one sender may take. */
  senderShareOfFree: 0.25,
  /** From this share of its memory on, strangers wait; from the second on, Redis counts as full. */
  scarceShare: 0.75,
  fullShare: 0.995,
  /** When a sender may retry that waits for memory, in seconds. */
  storageRetryS: 10,
  /** What Redis needs in bytes: for an envelope besides its body, and for a dedupe entry. */
  envelopeBytes: 300,
  dedupeBytes: 200,
  /** The same for a user with its keys and card, for a rule or known peer, and for the stored answer to a key fetch. */
  userBytes: 32_768,
  peerBytes: 100,
  fetchedBytes: 4_096,
  /** Peers that a user has written to and that the store remembers. */
  maxKnownPeers: 10_000,
  /** Logins of a user that a full Redis keeps, and challenges and logins a second that a node stores in it. */
  maxSessionsWhenFull: 4,
  writesWhenFullPerS: 20,
} as const
