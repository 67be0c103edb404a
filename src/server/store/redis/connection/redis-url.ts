type Address = { host: string; port: number }

/** Where Redis is: one server, the primary that Sentinels report, or a Cluster. */
export type RedisTarget =
  | { kind: 'server'; url: string }
  | {
      kind: 'sentinel'
      sentinels: Address[]
      /** The name of the primary in the Sentinels' configuration. */
      primary: string
      tls: boolean
      db: number
      username: string | null
      password: string | null
      sentinelUsername: string | null
      sentinelPassword: string | null
    }
  /** Some servers of the Cluster; the client learns the others from them. */
  | { kind: 'cluster'; servers: Address[]; tls: boolean; username: string | null; password: string | null }

const serverPort = 6_379
const sentinelPort = 26_379
/** Nothing, or the number of a database. The client would use database 0 for any other text. */
const serverPath = /^(?:\/\d{0,4})?$/
const sentinelForm =
  /^(?<scheme>rediss?)\+sentinel:\/\/(?:(?<user>[^:@/]*):(?<password>[^@/]*)@)?(?<hosts>[^@/?]+)\/(?<primary>[^/?]+)(?:\/(?<db>\d{1,4}))?(?<query>\?.*)?$/
const clusterForm = /^(?<scheme>rediss?)\+cluster:\/\/(?:(?<user>[^:@/]*):(?<password>[^@/]*)@)?(?<hosts>[^@/?]+)\/?$/

/**
 * `redis[s]://[user:password@]host[:port][/db]`, `redis[s]+cluster://[user:password@]host[:port][,host[:port]…]`, or
 * `redis[s]+sentinel://[user:password@]host[:port][,host[:port]…]/primary[/db]`, with the optional query
 * `?sentinel-username=…&sentinel-password=…`.
 * `user` and `password` are those of Redis; the query has those of the Sentinels. Returns `null` for any other URL.
 */
export function parseRedisUrl(url: string): RedisTarget | null {
  if (/^rediss?\+sentinel:/.test(url)) return parseSentinels(url)
  if (/^rediss?\+cluster:/.test(url)) return parseCluster(url)
  if (!URL.canParse(url)) return null
  const { protocol, hostname, pathname, searchParams } = new URL(url)
  const isValid = /^rediss?:$/.test(protocol) && hostname !== '' && serverPath.test(pathname)
  return isValid && !searchParams.has('db') ? { kind: 'server', url } : null
}

function parseCluster(url: string): RedisTarget | null {
  const parts = clusterForm.exec(url)?.groups
  const servers = parseHosts(parts?.hosts, serverPort)
  const [username, password] = [unescaped(parts?.user), unescaped(parts?.password)]
  if (!parts || !servers || username === undefined || password === undefined) return null
  return { kind: 'cluster', servers, tls: parts.scheme === 'rediss', username, password }
}

function parseSentinels(url: string): RedisTarget | null {
  const parts = sentinelForm.exec(url)?.groups
  const sentinels = parseHosts(parts?.hosts, sentinelPort)
  if (!parts || !sentinels) return null
  const query = new URLSearchParams(parts.query ?? '')
  const [username, password] = [unescaped(parts.user), unescaped(parts.password)]
  const primary = unescaped(parts.primary)
  if (!primary || username === undefined || password === undefined) return null
  return {
    kind: 'sentinel',
    sentinels,
    primary,
    tls: parts.scheme === 'rediss',
    db: Number(parts.db ?? 0),
    username,
    password,
    sentinelUsername: query.get('sentinel-username'),
    sentinelPassword: query.get('sentinel-password'),
  }
}

/** Returns `null` if one of the hosts is invalid. */
function parseHosts(text: string | undefined, defaultPort: number): Address[] | null {
  const addresses = text?.split(',').map(host => parseHost(host, defaultPort)) ?? [null]
  const found = addresses.filter(address => address !== null)
  return found.length === addresses.length ? found : null
}

/** An address in brackets is an IPv6 address. */
function parseHost(text: string, defaultPort: number): Address | null {
  const parts = /^(?:\[(?<address>[\da-fA-F:.]+)\]|(?<name>[\w.-]+))(?::(?<port>\d{1,5}))?$/.exec(text)?.groups
  const host = parts?.address ?? parts?.name
  const port = Number(parts?.port ?? defaultPort)
  return host && port > 0 && port < 65_536 ? { host, port } : null
}

/** Returns `null` if there is no text, and `undefined` if it cannot be decoded. */
function unescaped(text: string | undefined): string | null | undefined {
  if (!text) return null
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}
