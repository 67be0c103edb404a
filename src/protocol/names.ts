import { escapeLine } from '../util/escape.ts'
import { ProtocolError } from './errors.ts'

declare const brand: unique symbol
/** A registered name that has passed `parseUsername`. */
export type Username = string & { readonly [brand]: 'Username' }
/** `username@domain`, lower case, at most 255 bytes. */
export type Address = string & { readonly [brand]: 'Address' }

/** docs/PROTOCOL.md section 2. Linear: one character class, no nesting. */
const usernamePattern = /^[a-z0-9][a-z0-9._-]{1,30}[a-z0-9]$/
/** A host name as in a URL, lower case, with an optional port. */
const domainPattern =
  /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.){0,30}[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?::\d{1,5})?$/
/** How much of a wrong name its error shows. */
const maxShown = 40
/** The maximum length of an address in bytes, so that it fits a `vec8`. */
const maxAddressBytes = 255

export const isUsername = (text: string): text is Username => usernamePattern.test(text)

/** @throws {ProtocolError} `invalid_username`; the text states the rule. */
export function parseUsername(text: string): Username {
  if (!isUsername(text)) {
    throw new ProtocolError(
      'invalid_username',
      `"${escapeLine(text.slice(0, maxShown))}" is not a username: a username has 3 to 32 of a-z 0-9 . _ - and ` +
        'starts and ends with a letter or digit',
    )
  }
  return text
}

export const isDomain = (text: string): boolean => text.length <= 220 && domainPattern.test(text)

/**
 * Parses a recipient: `name` or `name@domain`.
 * @throws {ProtocolError} `invalid_username`, or `unknown_user` for a name of another domain.
 */
export function parseRecipient(text: string, domain: string): Username {
  const at = text.indexOf('@')
  const username = parseUsername(at < 0 ? text : text.slice(0, at))
  if (at >= 0 && text.slice(at + 1) !== domain) {
    throw new ProtocolError('unknown_user', `this deployment is ${domain}, and does not reach other domains`)
  }
  return username
}

export function formatAddress(username: Username, domain: string): Address {
  const address = `${username}@${domain}`
  if (address.length > maxAddressBytes) throw new ProtocolError('invalid_username', 'the address is over 255 bytes')
  return address as Address
}

const loopbackHosts = new Set(['localhost', '[::1]', '::1'])

/** Returns true if a host name means this machine. All such names count as the domain `localhost`. */
export const isLoopback = (host: string): boolean => loopbackHosts.has(host) || /^127(?:\.\d{1,3}){3}$/.test(host)
