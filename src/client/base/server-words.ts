import { type ErrorCode, ProtocolError } from '../../protocol/errors.ts'
import { escapeLine } from '../../util/escape.ts'

/** The number of characters that are kept of what a node says. */
export const maxServerWords = 200

/**
 * Returns the words of a node, cut and without control characters; undefined if there are none. A node may be hostile:
 * its words are data for `serverSaid`, and never part of the text of an error or of an event.
 */
export function serverWords(text: string | undefined): string | undefined {
  if (text === undefined || text === '') return undefined
  // An escape is longer than its character, so the text is cut before and after. A cut pair of surrogates is escaped.
  return escapeLine(text.slice(0, maxServerWords)).slice(0, maxServerWords)
}

/** What this client says about each code of a node. `name`: the user that the request was about, if it named one. */
const texts: Record<ErrorCode, string | ((name: string | undefined) => string)> = {
  bad_frame: 'the server could not read a request of this client',
  bad_ack: 'the server did not accept an acknowledgement',
  invalid_username: name =>
    `the server does not accept ${name ?? 'this name'} as a name: 3 to 32 of a-z 0-9 . _ -, first and last a letter ` +
    'or digit',
  unauthorized: 'the server refused the login',
  forbidden: 'the server does not allow this: its operator or the recipient has decided so',
  unknown_user: name =>
    name === undefined ? 'the server does not know this user' : `the server knows no user ${name}`,
  not_found: 'the server does not have what was asked for',
  no_keys: name => `${name ?? 'the recipient'} has no keys at the server yet`,
  username_taken: name =>
    `the name${name === undefined ? '' : ` ${name}`} belongs to another key; choose another name, or use the state ` +
    'that has that key (a browser may have deleted it: docs/STATE.md#browsers)',
  id_reused: 'the server has another message under the same id',
  not_listening: 'this connection does not listen',
  conflict: 'the server is in a state that does not allow this now',
  message_too_large: 'the message is larger than the server accepts',
  rate_limited: 'the server allows this less often; try again later',
  internal: 'the server failed; try again later',
  unavailable: 'the server cannot do this now; try again later',
  inbox_full: name => `the inbox of ${name ?? 'the recipient'} is full; try again later`,
}

/**
 * Makes the error for a refusal of a node: this client's own text, and the node's words as data.
 * @param options `name`: the user that this client's request was about
 */
export const refusalOf = (
  code: ErrorCode,
  words: string | undefined,
  { retryAfter, name }: { retryAfter?: number | undefined; name?: string | undefined } = {},
): ProtocolError => {
  const serverSaid = serverWords(words)
  const text = texts[code]
  return new ProtocolError(code, typeof text === 'string' ? text : text(name), {
    ...(retryAfter !== undefined && { retryAfter }),
    ...(serverSaid !== undefined && { serverSaid }),
  })
}

/** Returns what a node said with an error, if anything. */
export function saidWith(error: unknown): string | undefined {
  const said = error instanceof Error && 'serverSaid' in error ? error.serverSaid : undefined
  return typeof said === 'string' && said !== '' ? said : undefined
}
