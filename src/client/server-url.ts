import { isDomain, isLoopback } from '../protocol/names.ts'
import { ClientError } from './errors.ts'

/** A server or domain that cannot be meant. */
export class ServerUrlError extends ClientError {
  override readonly name = 'ServerUrlError'
  readonly code = 'server_url'
  readonly retry = false
}

const schemes: Record<string, string> = { 'ws:': 'ws:', 'wss:': 'wss:', 'http:': 'ws:', 'https:': 'wss:' }

/**
 * Where to dial for a server as a user writes it: `ws://host:port`, `wss://host`, or the same with http.
 * @throws {ServerUrlError}
 */
export function parseServerUrl(text: string): { url: string; domain: string } {
  const parsed = URL.canParse(text) ? new URL(text) : undefined
  const scheme = parsed && schemes[parsed.protocol]
  if (!parsed || !scheme || parsed.username || parsed.password) {
    throw new ServerUrlError(`"${text}" is no server: write ws://host:port or wss://host`)
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
  throw new ServerUrlError(`"${domain}" is no domain: write a host name in lower case`)
}
