/** What a client throws besides `ProtocolError` (a node's refusal), `CryptoError` and `StateError`. Each says what to do about it. */
export abstract class ClientError extends Error {
  abstract readonly code: string
  /** Whether the same call may succeed later without anybody changing anything. */
  abstract readonly retry: boolean
}

/** The server did not answer, or broke off. What was asked of it may have happened. */
export class UnreachableError extends ClientError {
  override readonly name = 'UnreachableError'
  readonly code = 'unreachable'
  readonly retry = true
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

/** A recipient that makes no sense: oneself. */
export class SelfError extends ClientError {
  override readonly name = 'SelfError'
  readonly code = 'self'
  readonly retry = false

  constructor() {
    super('an agent cannot write to itself')
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
