import { isDomain, isLoopback } from '../../protocol/names.ts'
import { escapeLine } from '../../util/escape.ts'
import { ClientError } from '../base/errors.ts'

/** The given server or domain is not valid. */
export class ServerUrlError extends ClientError {
  override readonly name = 'ServerUrlError'
  readonly code = 'server_url'
  readonly retry = false
}

/** A wrong URL as an error shows it. */
const shown = (text: string): string => `"${escapeLine(text.slice(0, 100))}"`

const schemes: Record<string, string> = { 'ws:': 'ws:', 'wss:': 'wss:', 'http:': 'ws:', 'https:': 'wss:' }

/**
 * Hosts of a private network, as `URL` writes them: a single label, as container names are, or a private address (RFC
 * 1918, RFC 4193, RFC 6598), or a name that no public DNS has: a service of Kubernetes, or the host of a container.
 */
const privateHost =
  /^(?:[a-z0-9_-]+|host\.docker\.internal|(?:[a-z0-9_-]+\.){1,5}svc(?:\.cluster\.local)?|100\.(?:6[4-9]|[7-9]\d|1[01]\d|12[0-7])(?:\.\d+){2}|10(?:\.\d+){3}|192\.168(?:\.\d+){2}|172\.(?:1[6-9]|2\d|3[01])(?:\.\d+){2}|\[f[cd][0-9a-f]{2}:[0-9a-f:]+\])$/

/**
 * Returns true if traffic to this host may go without TLS: it stays on this machine or in a private network. Elsewhere
 * everybody on the network path can read it.
 */
export const mayBePlain = (host: string): boolean => isLoopback(host) || privateHost.test(host)

/**
 * Parses a server as a user writes it: `ws://host:port`, `wss://host`, or the same with http. Accepts a URL without TLS
 * only for this machine and for private networks.
 * @returns the URL to dial, and the domain that follows from it
 * @throws {ServerUrlError}
 */
export function parseServerUrl(text: string): { url: string; domain: string } {
  const parsed = URL.canParse(text) ? new URL(text) : undefined
  const scheme = parsed && schemes[parsed.protocol]
  if (!parsed || !scheme || parsed.username || parsed.password) {
    throw new ServerUrlError(`${shown(text)} is not a server URL: write ws://host:port or wss://host`)
  }
  if (scheme === 'ws:' && !mayBePlain(parsed.hostname)) {
    throw new ServerUrlError(
      `${shown(text)} would send the login unencrypted: write wss://${parsed.host.slice(0, 100)}`,
    )
  }
  const path = parsed.pathname.replace(/\/+$/, '')
  return {
    url: `${scheme}//${parsed.host}${path.endsWith('/ws') ? path : `${path}/ws`}`,
    domain: isLoopback(parsed.hostname) ? 'localhost' : parsed.hostname,
  }
}

/** @throws {ServerUrlError} */
export function checkDomain(domain: string): string {
  if (isDomain(domain)) return domain
  throw new ServerUrlError(`${shown(domain)} is not a domain: write a host name in lower case`)
}
