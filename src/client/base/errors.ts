import { serverWords } from './server-words.ts'

/**
 * Base class of the errors that a client throws, besides `ProtocolError` (a node's refusal), `CryptoError` and
 * `StateError`. Each text says what the caller can do.
 */
export abstract class ClientError extends Error {
  abstract readonly code: string
  /** True if the same call may succeed later although nobody changes anything. */
  abstract readonly retry: boolean
}

/** The caller passed a wrong argument. Nothing was done. `argument` is its name, such as `timeoutMs` or `content`. */
export class InvalidArgumentError extends ClientError {
  override readonly name = 'InvalidArgumentError'
  readonly code = 'invalid_argument'
  readonly retry = false
  readonly argument: string

  /** @param rule completes the sentence that begins with the name of the argument */
  constructor(argument: string, rule: string, options?: ErrorOptions) {
    super(`${argument} ${rule}`, options)
    this.argument = argument
  }
}

/**
 * The server did not answer, or the connection ended first. The server may have carried out the request. `retryAfter`
 * is in seconds, if the server gave it.
 */
export class UnreachableError extends ClientError {
  override readonly name = 'UnreachableError'
  readonly code = 'unreachable'
  readonly retry = true
  readonly retryAfter: number | undefined
  /** What the server said when it closed the connection, cut. It is data of a stranger. */
  readonly serverSaid: string | undefined

  constructor(message: string, options: { retryAfter?: number | undefined; serverSaid?: string | undefined } = {}) {
    super(message)
    this.retryAfter = options.retryAfter
    this.serverSaid = serverWords(options.serverSaid)
  }
}

/** The server does not speak this protocol, or violated it. */
export class ServerFaultError extends ClientError {
  override readonly name = 'ServerFaultError'
  readonly code = 'server_fault'
  readonly retry = false
  /** What the server said, cut. It is data of a stranger. */
  readonly serverSaid: string | undefined

  constructor(message: string, options: { serverSaid?: string | undefined } = {}) {
    super(message)
    this.serverSaid = serverWords(options.serverSaid)
  }
}

/** The server's domain is not the one that this agent expects. Nothing was signed: docs/PROTOCOL.md section 5. */
export class DomainMismatchError extends ClientError {
  override readonly name = 'DomainMismatchError'
  readonly code = 'domain_mismatch'
  readonly retry = false

  /** The domain that the server names, cut. It is data of a stranger. */
  readonly serverSaid: string | undefined

  constructor(expected: string, told: string) {
    super(
      `expected the domain ${expected}, but the server has another; set the right domain, or do not trust this server`,
    )
    this.serverSaid = serverWords(told)
  }
}

export class NotRegisteredError extends ClientError {
  override readonly name = 'NotRegisteredError'
  readonly code = 'not_registered'
  readonly retry = false

  constructor() {
    super('this agent has no name yet: register one first')
  }
}

/** The agent has a name already. Another name needs its own state. */
export class AlreadyRegisteredError extends ClientError {
  override readonly name = 'AlreadyRegisteredError'
  readonly code = 'already_registered'
  readonly retry = false

  constructor(address: string) {
    super(`this agent is registered as ${address} already; use another state for another name`)
  }
}

/** Another connection listens for this user now. Listening again takes the inbox back and ends the other listener. */
export class ReplacedError extends ClientError {
  override readonly name = 'ReplacedError'
  readonly code = 'replaced'
  readonly retry = false
  readonly instance: string

  constructor(instance: string) {
    super('another connection listens for this user now')
    this.instance = instance
  }
}

/**
 * The peer's identity key differs from the pinned one. Nothing is sent to the peer and no message of it is shown until
 * the user decides.
 */
export class IdentityChangedError extends ClientError {
  override readonly name = 'IdentityChangedError'
  readonly code = 'identity_changed'
  readonly retry = false
  readonly peer: string

  constructor(peer: string) {
    super(`the identity key of ${peer} has changed; nothing was sent`)
    this.peer = peer
  }
}

/** A live key exchange failed. Nothing weaker was used instead. */
export class KeyExchangeError extends ClientError {
  override readonly name = 'KeyExchangeError'
  readonly code: 'key_exchange_timeout' | 'key_exchange_declined'
  readonly retry = true

  constructor(code: KeyExchangeError['code'], message: string) {
    super(message)
    this.code = code
  }
}

/** The message is larger than the limit. Nothing was sent. */
export class TooLargeError extends ClientError {
  override readonly name = 'TooLargeError'
  readonly code = 'message_too_large'
  readonly retry = false

  constructor(bytes: number, limit: number) {
    super(`the message has ${bytes} bytes; the limit is ${limit}`)
  }
}

/** The text has half of a character (a lone surrogate), and would arrive as another text. Nothing was sent. */
export class IllFormedTextError extends ClientError {
  override readonly name = 'IllFormedTextError'
  readonly code = 'ill_formed_text'
  readonly retry = false

  constructor(what: string) {
    super(
      `${what} has half of a character (a lone surrogate), probably because a text was cut inside an emoji; ` +
        'cut it between characters, or call toWellFormed() on it',
    )
  }
}

/** The media type is not valid. Nothing was sent. */
export class MediaTypeError extends ClientError {
  override readonly name = 'MediaTypeError'
  readonly code = 'media_type'
  readonly retry = false

  constructor(mediaType: string) {
    super(
      `${JSON.stringify(mediaType)} is not a media type; use one like text/markdown or application/pdf, in lower case`,
    )
  }
}

/** The recipient is the agent itself. */
export class SelfError extends ClientError {
  override readonly name = 'SelfError'
  readonly code = 'self'
  readonly retry = false

  constructor() {
    super('an agent cannot write to itself')
  }
}

/**
 * The record of this peer (its key, trust and sessions) is damaged. Nothing is sent to the peer, and its messages wait
 * in the quarantine, until the user decides.
 */
export class UnreadablePeerError extends ClientError {
  override readonly name = 'UnreadablePeerError'
  readonly code = 'peer_unreadable'
  readonly retry = false
  readonly peer: string

  constructor(peer: string) {
    super(
      `what was known about ${peer} is damaged; restore the state from a backup, or run "aimessage repair ${peer}" ` +
        'and compare its key again',
    )
    this.peer = peer
  }
}

/**
 * This agent's own key signed that it made far more steps than this state knows of. Either a copy of the state made
 * them, or somebody else has the key. The user decides.
 */
export class RecoveryNeededError extends ClientError {
  override readonly name = 'RecoveryNeededError'
  readonly code = 'recovery_needed'
  readonly retry = false

  constructor(signed: number, own: number) {
    super(
      `this agent's key signed for ${signed} steps, and this state made ${own}: if no other copy of it runs, ` +
        'somebody else may have its key; to continue with new sessions, run "aimessage recover"',
    )
  }
}

/** No message was exchanged with this peer yet, so there is no key to compare. */
export class UnknownPeerError extends ClientError {
  override readonly name = 'UnknownPeerError'
  readonly code = 'unknown_peer'
  readonly retry = false

  constructor(peer: string) {
    super(`no message was exchanged with ${peer} yet, so its key is unknown; send it a message first`)
  }
}

/** The peer's side shows another key than the one known here. An attacker may be between the two agents. */
export class NotComparedError extends ClientError {
  override readonly name = 'NotComparedError'
  readonly code = 'not_verified'
  readonly retry = false

  constructor(peer: string) {
    super(`this is neither the safety number nor the key that is known here for ${peer}; nothing was changed`)
  }
}

/** The user has not been shown this key of the peer: it is neither pinned, nor was it used under the peer's name. */
export class UnknownKeyError extends ClientError {
  override readonly name = 'UnknownKeyError'
  readonly code = 'unknown_key'
  readonly retry = false

  constructor(peer: string) {
    super(`no message of ${peer} came under this key; nothing was changed. identityOf shows the keys that were used`)
  }
}

/** Messages wait for the peer's old key, and the caller did not say what becomes of them. Nothing was changed. */
export class UnconfirmedMessagesError extends ClientError {
  override readonly name = 'UnconfirmedMessagesError'
  readonly code = 'unconfirmed_messages'
  readonly retry = false
  readonly count: number

  constructor(peer: string, count: number) {
    super(
      `${count} messages to ${peer} have no receipt yet: say whether they are sent to the new key or dropped; ` +
        'nothing was changed',
    )
    this.count = count
  }
}

/** A message was dropped because the user accepted another key of its recipient. */
export class DroppedError extends ClientError {
  override readonly name = 'DroppedError'
  readonly code = 'dropped'
  readonly retry = false

  constructor(peer: string) {
    super(`the message was written for an earlier key of ${peer}, and the user did not send it to the new one`)
  }
}

/** A request or its reply came under an identity key that the user has rejected. */
export class WithheldError extends ClientError {
  override readonly name = 'WithheldError'
  readonly code = 'withheld'
  readonly retry = false

  constructor(peer: string) {
    super(`the message came under a key of ${peer} that the user has rejected; it is withheld`)
  }
}

/** The peer did not reply in time. It may have done what was asked; a late reply arrives as an ordinary message. */
export class RequestTimeoutError extends ClientError {
  override readonly name = 'RequestTimeoutError'
  readonly code = 'request_timeout'
  readonly retry = true

  /** The id of the request. A later reply has it as `re`. */
  readonly requestId: string

  constructor(peer: string, timeoutMs: number, requestId: string) {
    super(`${peer} did not reply to ${requestId} within ${timeoutMs / 1_000} s; a later reply arrives as a message`)
    this.requestId = requestId
  }
}

/**
 * A request was refused: by the peer, with the peer's own code, or locally before it was sent. A request handler throws
 * it to choose code and text of the refusal. After any other error of a handler, the peer learns only that the request
 * failed.
 */
export class RequestRefusedError extends ClientError {
  override readonly name = 'RequestRefusedError'
  readonly code: string
  readonly retry = false

  /** The peer that chose code and text; undefined if this client refused the request itself. */
  readonly peer: string | undefined

  /** @param code 1 to 64 of a-z 0-9 _ */
  constructor(code: string, message: string, { peer }: { peer?: string } = {}) {
    super(message)
    this.code = code
    this.peer = peer
  }
}

/** The request cannot be answered: it was answered before, its sender withdrew it, or it is unknown. */
export class NotOpenError extends ClientError {
  override readonly name = 'NotOpenError'
  readonly code = 'not_open'
  readonly retry = false

  constructor(id: string) {
    super(`request ${id} is not open: it was answered, its sender withdrew it, or it is not a request`)
  }
}

/** The recipient did not confirm the message within its ttl. */
export class ExpiredError extends ClientError {
  override readonly name = 'ExpiredError'
  readonly code = 'expired'
  readonly retry = false
}

export class ClosedError extends ClientError {
  override readonly name = 'ClosedError'
  readonly code = 'closed'
  readonly retry = false

  constructor() {
    super('this client was closed')
  }
}
