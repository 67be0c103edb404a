/** Where Redis is: one server, what Sentinels say who is primary, or a Cluster. */
type Address = { host: string; port: number }

export type RedisTarget =
  | { kind: 'server'; url: string }
  | {
      kind: 'sentinel'
      sentinels: Address[]
      /** What the Sentinels call it. */
      primary: string
      tls: boolean
      db: number
      username: string | null
      password: string | null
      sentinelUsername: string | null
      sentinelPassword: string | null
    }
  /** Some of its servers; they name the others. */
  | { kind: 'cluster'; servers: Address[]; tls: boolean; username: string | null; password: string | null }

const serverPort = 6_379
const sentinelPort = 26_379
const sentinelForm =
  /^(?<scheme>rediss?)\+sentinel:\/\/(?:(?<user>[^:@/]*):(?<password>[^@/]*)@)?(?<hosts>[^@/?]+)\/(?<primary>[^/?]+)(?:\/(?<db>\d{1,4}))?(?<query>\?.*)?$/
const clusterForm = /^(?<scheme>rediss?)\+cluster:\/\/(?:(?<user>[^:@/]*):(?<password>[^@/]*)@)?(?<hosts>[^@/?]+)\/?$/

/**
 * `redis[s]://…`, `redis[s]+cluster://[user:password@]host[:port][,host[:port]…]`, or
 * `redis[s]+sentinel://[user:password@]host[:port][,host[:port]…]/primary[/db][?sentinel-username=…&sentinel-password=…]`.
 * User and password are those of Redis; those of the Sentinels stand behind it. `null`: neither.
 */
export function parseRedisUrl(url: string): RedisTarget | null {
  if (/^rediss?\+sentinel:/.test(url)) return parseSentinels(url)
  if (/^rediss?\+cluster:/.test(url)) return parseCluster(url)
  return URL.canParse(url) && /^rediss?:$/.test(new URL(url).protocol) ? { kind: 'server', url } : null
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

/** `null`: one of them is none. */
function parseHosts(text: string | undefined, defaultPort: number): Address[] | null {
  const addresses = text?.split(',').map(host => parseHost(host, defaultPort)) ?? [null]
  const found = addresses.filter(address => address !== null)
  return found.length === addresses.length ? found : null
}

/** An address in brackets is one of IPv6. */
function parseHost(text: string, defaultPort: number): Address | null {
  const parts = /^(?:\[(?<address>[\da-fA-F:.]+)\]|(?<name>[\w.-]+))(?::(?<port>\d{1,5}))?$/.exec(text)?.groups
  const host = parts?.address ?? parts?.name
  const port = Number(parts?.port ?? defaultPort)
  return host && port > 0 && port < 65_536 ? { host, port } : null
}

/** `null`: not there. `undefined`: cannot be read. */
function unescaped(text: string | undefined): string | null | undefined {
  if (!text) return null
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}
