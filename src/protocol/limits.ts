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
  /** A user's card, bytes: it is for everybody to read. */
  maxCardBytes: 4_096,
  /** Capabilities of a card: an entry of an index each. */
  maxCapabilities: 16,
  /** Users of one page of a listing that brings their cards: about what one frame holds. */
  maxCardPage: 20,
  /** One-time keys a node holds for a user, and the marks below which it asks for more. */
  maxOneTimeKeys: 100,
  maxOneTimeKemKeys: 20,
  lowOneTimeKeys: 50,
  lowOneTimeKemKeys: 10,
  /** A repeated key fetch with the same id gets the same answer for so long, ms. */
  fetchRepeatMs: 60_000,
  /** Key fetches of one user, at once and then in a minute: a coordinator may start with 500 agents at once. */
  maxFetchesPerRequester: 1_000,
  /** Fetches with one-time keys, per target and per requester and target, in one window: nobody drains a pool alone, and two agents that begin anew get theirs. */
  maxOneTimeFetchesPerTarget: 200,
  maxOneTimeFetchesPerPair: 20,
  fetchWindowMs: 60_000,
  /** Users that one user allows, blocks or keeps as contacts: 400 KB of names. A coordinator writes to thousands. */
  maxRules: 10_000,
  /** Logins and upgrades from one address: a thousand agents behind one proxy come back at once; a flood costs signatures. */
  arrivalsPerS: 100,
  arrivalsBurst: 2_000,
  /** Upgrades, and logins on sockets, that may come at once before the rate of a node counts. */
  upgradesBurst: 10,
  /** How long an upgrade or a login waits for its turn before it is told to come again, ms: far less than a client waits for its handshake. */
  maxUpgradeWaitMs: 3_000,
  /** The latest time that one is told, s. */
  maxUpgradeRetryS: 20,
  /** Frames of a connection before its login: a login takes one, and each costs its sender nothing. */
  strangerFramesPerS: 10,
  strangerFramesBurst: 200,
  /** Calls of the operator's routes from one address: whoever pages through lists needs some, and a wrong token counts as ten. */
  operatorCallsPerS: 10,
  operatorCallsBurst: 200,
  /** WebSocket pings and pongs of one connection: a client that works sends one in a while. */
  controlFramesPerS: 20,
  controlFramesBurst: 500,
  /** Answers `rate_limited` that a user may earn on one node before it does not listen to reason; more than clients have on the way. */
  refusalsPerS: 50,
  refusalsBurst: 5_000,
  /** A connection whose user is over its rate by less is read more slowly instead of refused, ms. */
  maxHoldMs: 1_000,
  /** A connection that is read more slowly goes on at least so much later, ms: a timer for each frame would cost more than the frames. */
  minHoldMs: 20,
  /** The part of a rate that each node lets through uncounted, so that quiet users cost Redis nothing. */
  uncountedShare: 0.05,
  /** The part of a burst that a node takes from Redis at once: one call for hundreds of frames. */
  leaseShare: 0.1,
  /** HTTP calls of one user: whoever needs more has a socket, where a frame costs a tenth of a call. */
  userCallsPerS: 500,
  userCallsBurst: 5_000,
  /** Bursts of what an operator may set, in seconds of the rate: 500 of the largest bodies at once, an inbox to its brim. */
  userFramesBurstS: 2,
  userBytesBurstS: 8,
  pairMessagesBurstS: 2,
  /** The part of a user's bytes that may go to one other. */
  pairShareOfBytes: 0.5,
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
  /** How often a delivery loop looks at its inbox and its claim though nothing woke it, ms. */
  deliveryCheckMs: 10_000,
  /** How often nodes read the stream of revoked tokens, ms. */
  revocationCheckMs: 500,
  /** How long an invite may be used unless its maker says otherwise, and at most, s. */
  inviteTtlS: 86_400,
  maxInviteTtlS: 2_592_000,
  /** HTTP and WebSocket requests: headers and all of it must be here by then, ms; one byte a second is an attack. */
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 12_000,
  /** How often a node looks for requests that are late, ms. */
  lateCheckMs: 1_000,
  /** Connections besides the sockets: probes, calls, and those that wait to be refused. */
  httpReserve: 1_000,
  /** What a connection that is one too many waits before it comes again, s. */
  fullRetryS: 10,
  /** Defaults of what an operator may set: see `.env.example`. */
  maxConnections: 15_000,
  maxConnectionsPerAddress: 5_000,
  maxConnectionsPerUser: 100,
  maxStrangers: 2_000,
  /** A third of one core's time: thousands that come back at once leave it to those who are there. */
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
} as const
