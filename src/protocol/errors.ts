/**
 * Whether the same request can succeed later: `yes` by the passing of time alone, `later` only after another party has
 * changed something.
 */
export type RetryAdvice = 'no' | 'later' | 'yes'

/** Every error code of a node: docs/PROTOCOL.md section 9. A test compares this table with that page. */
export const errors = {
  bad_frame: { http: 400, retry: 'no' },
  bad_ack: { http: 400, retry: 'no' },
  invalid_username: { http: 400, retry: 'no' },
  unauthorized: { http: 401, retry: 'no' },
  forbidden: { http: 403, retry: 'no' },
  unknown_user: { http: 404, retry: 'no' },
  not_found: { http: 404, retry: 'no' },
  no_keys: { http: 404, retry: 'later' },
  username_taken: { http: 409, retry: 'no' },
  id_reused: { http: 409, retry: 'no' },
  not_listening: { http: 409, retry: 'no' },
  conflict: { http: 409, retry: 'later' },
  message_too_large: { http: 413, retry: 'no' },
  rate_limited: { http: 429, retry: 'yes' },
  internal: { http: 500, retry: 'yes' },
  unavailable: { http: 503, retry: 'yes' },
  inbox_full: { http: 507, retry: 'yes' },
} as const satisfies Record<string, { http: number; retry: RetryAdvice }>

export type ErrorCode = keyof typeof errors

export const isErrorCode = (code: string): code is ErrorCode => Object.hasOwn(errors, code)

/**
 * A client's reaction to a close: reconnect (`back`), reconnect with a `signature` instead of its token, or wait for
 * the `user`.
 */
export type Reconnect = 'no' | 'back' | 'signature' | 'user'

/** Every code with which a node closes a connection: docs/PROTOCOL.md section 9. */
export const closeCodes = {
  logout: { code: 1000, reconnect: 'no' },
  frameTooLarge: { code: 1009, reconnect: 'no' },
  notTheProtocol: { code: 4400, reconnect: 'no' },
  unauthorized: { code: 4401, reconnect: 'signature' },
  loginTimeout: { code: 4408, reconnect: 'back' },
  replaced: { code: 4409, reconnect: 'user' },
  rateLimited: { code: 4429, reconnect: 'back' },
  draining: { code: 4503, reconnect: 'back' },
  slowConsumer: { code: 4508, reconnect: 'back' },
} as const satisfies Record<string, { code: number; reconnect: Reconnect }>

export type CloseReason = keyof typeof closeCodes

/** Codes outside the table come from a broken transport (such as 1006) or from a different server: reconnect. */
export function reconnectAfter(code: number): Reconnect {
  const known = Object.values(closeCodes).find(close => close.code === code)
  return known?.reconnect ?? 'back'
}

/**
 * A refusal in the protocol's own words. Nodes answer with it; clients throw it for what a node answered.
 * `retryAfter` is in seconds; `close` is set where the frame also ends the connection.
 */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError'
  readonly code: ErrorCode
  readonly retryAfter: number | undefined
  readonly close: CloseReason | undefined
  /** At a client: the words of the node, cut. They are data of a stranger. */
  readonly serverSaid: string | undefined

  constructor(
    code: ErrorCode,
    message: string,
    options: { retryAfter?: number; close?: CloseReason; serverSaid?: string } = {},
  ) {
    super(message)
    this.code = code
    this.serverSaid = options.serverSaid
    this.retryAfter = options.retryAfter
    this.close = options.close
  }

  /** True if the same call may succeed later although nobody changes anything. */
  get retry(): boolean {
    return this.retryAdvice === 'yes'
  }

  /** The last column of docs/PROTOCOL.md section 9, which distinguishes two reasons for `retry: false`. */
  get retryAdvice(): RetryAdvice {
    return errors[this.code].retry
  }
}
