/** What a client throws besides `ProtocolError` (a node's refusal), `CryptoError` and `StateError`. Each says what to do about it. */
export abstract class ClientError extends Error {
  abstract readonly code: string
  /** Whether the same call may succeed later without anybody changing anything. */
  abstract readonly retry: boolean
}

/** The server did not answer, or broke off. What was asked of it may have happened. `retryAfter` is in seconds, where it said so. */
export class UnreachableError extends ClientError {
  override readonly name = 'UnreachableError'
  readonly code = 'unreachable'
  readonly retry = true
  readonly retryAfter: number | undefined

  constructor(message: string, options: { retryAfter?: number | undefined } = {}) {
    super(message)
    this.retryAfter = options.retryAfter
  }
}

/** The server speaks something else, or broke the protocol. */
export class ServerFaultError extends ClientError {
  override readonly name = 'ServerFaultError'
  readonly code = 'server_fault'
  readonly retry = false
}

/** The server names a domain that this agent does not expect; nothing was signed. docs/PROTOCOL.md section 5. */
export class DomainMismatchError extends ClientError {
  override readonly name = 'DomainMismatchError'
  readonly code = 'domain_mismatch'
  readonly retry = false

  constructor(expected: string, told: string) {
    super(
      `expected the domain ${expected}, and the server says ${told}; name the right one, or do not trust this server`,
    )
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

/** The agent has a name already; another one needs a state of its own. */
export class AlreadyRegisteredError extends ClientError {
  override readonly name = 'AlreadyRegisteredError'
  readonly code = 'already_registered'
  readonly retry = false

  constructor(address: string) {
    super(`this agent is ${address} already; another name needs another agent`)
  }
}

/** Another connection listens for this user now. Listening again takes the inbox back, and ends the other one. */
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

/** The peer's identity key is not the one met first. Nothing is sent and nothing shown until somebody decides. */
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

/** A live key exchange did not come about. Nothing weaker was used in its place. */
export class KeyExchangeError extends ClientError {
  override readonly name = 'KeyExchangeError'
  readonly code: 'key_exchange_timeout' | 'key_exchange_declined'
  readonly retry = true

  constructor(code: KeyExchangeError['code'], message: string) {
    super(message)
    this.code = code
  }
}

/** Over what one message may hold; nothing was sent. */
export class TooLargeError extends ClientError {
  override readonly name = 'TooLargeError'
  readonly code = 'message_too_large'
  readonly retry = false

  constructor(bytes: number, limit: number) {
    super(`the message has ${bytes} bytes, and one holds at most ${limit}`)
  }
}

/** What was named as a media type is none; nothing was sent. */
export class MediaTypeError extends ClientError {
  override readonly name = 'MediaTypeError'
  readonly code = 'media_type'
  readonly retry = false

  constructor(mediaType: string) {
    super(`${JSON.stringify(mediaType)} is no media type; use one like text/markdown or application/pdf, in lower case`)
  }
}

/** A recipient that makes no sense: oneself. */
export class SelfError extends ClientError {
  override readonly name = 'SelfError'
  readonly code = 'self'
  readonly retry = false

  constructor() {
    super('an agent cannot write to itself')
  }
}

/** Nothing was exchanged with this peer yet, so there is no key to compare. */
export class UnknownPeerError extends ClientError {
  override readonly name = 'UnknownPeerError'
  readonly code = 'unknown_peer'
  readonly retry = false

  constructor(peer: string) {
    super(`nothing was exchanged with ${peer} yet, so its key is not known here; send it a message first`)
  }
}

/** What the peer's side shows is not what is known here. Somebody may stand between the two. */
export class NotComparedError extends ClientError {
  override readonly name = 'NotComparedError'
  readonly code = 'not_verified'
  readonly retry = false

  constructor(peer: string) {
    super(`this is not the safety number or the key of ${peer} as it is known here; nothing was changed`)
  }
}

/** Nobody answered in time. The peer may have done what was asked all the same; an answer that comes late is an ordinary message. */
export class RequestTimeoutError extends ClientError {
  override readonly name = 'RequestTimeoutError'
  readonly code = 'request_timeout'
  readonly retry = true

  constructor(peer: string, timeoutMs: number) {
    super(`${peer} did not answer within ${timeoutMs / 1_000} s; an answer that comes later is shown as a message`)
  }
}

/**
 * A request was refused: by the peer, with a code of its own, or before it was sent. Thrown in a handler of requests it is what the asker
 * is told; of anything else that a handler throws the asker learns only that it failed.
 */
export class RequestRefusedError extends ClientError {
  override readonly name = 'RequestRefusedError'
  readonly code: string
  readonly retry = false

  /** @param code 1 to 64 of a-z 0-9 _ */
  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}

/** There is nothing to answer: the request was answered, withdrawn, or is not known here. */
export class NotOpenError extends ClientError {
  override readonly name = 'NotOpenError'
  readonly code = 'not_open'
  readonly retry = false

  constructor(id: string) {
    super(`request ${id} is not open: it was answered, its sender gave it up, or it never was one`)
  }
}

/** The message was not confirmed within its ttl. */
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
