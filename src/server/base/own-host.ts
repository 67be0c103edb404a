import type { IncomingHttpHeaders } from 'node:http'
import { isLoopback } from '../../protocol/names.ts'
import type { Config } from './config.ts'

type HostConfig = Pick<Config, 'host' | 'domain' | 'allowedOrigins'>

/** Returns the host name in a `Host` header or a domain: lower case, without port. */
const nameIn = (host: string): string => host.trim().toLowerCase().replace(/:\d*$/, '').replace(/\.$/, '')

/** Returns true if a host name means this node: its domain, or on loopback any loopback name. */
const isOwnName = ({ host, domain }: HostConfig, name: string): boolean =>
  name === nameIn(domain) || (isLoopback(host) && isLoopback(name))

/**
 * Returns true if a request may have this `Host`. A node on loopback serves its own names and the hosts of the listed
 * origins only: a web page whose name was rebound to 127.0.0.1 sends that name, and would count as the node's own page.
 */
export function isAllowedHost(config: HostConfig, host: string | undefined): boolean {
  if (host === undefined || !isLoopback(config.host)) return true
  const name = nameIn(host)
  return isOwnName(config, name) || config.allowedOrigins.some(origin => new URL(origin).hostname === name)
}

/**
 * Returns true if a browser may send a request from this page. A browser always sends the true origin of the page, and
 * other clients send none. The request's own `Host` decides nothing by itself: it only gives the port of an own name.
 */
export function isAllowedOrigin(config: HostConfig, headers: IncomingHttpHeaders): boolean {
  const { origin } = headers
  if (origin === undefined || config.allowedOrigins.includes(origin)) return true
  return config.allowedOrigins.length === 0 && isOwnOrigin(config, headers)
}

/** Returns true if the page is of this node. */
export function isOwnOrigin(config: HostConfig, { origin, host }: IncomingHttpHeaders): boolean {
  if (origin === undefined || !URL.canParse(origin)) return false
  const page = new URL(origin)
  if (page.origin !== origin) return false
  const isOnDomain = page.host === config.domain && !isLoopback(nameIn(config.domain))
  return isOnDomain || (page.host === host?.toLowerCase() && isOwnName(config, page.hostname))
}
