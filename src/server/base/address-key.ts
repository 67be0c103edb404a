import { isIP, isIPv4, isIPv6 } from 'node:net'

/** The 16-bit groups of an IPv6 network: a provider gives each customer at least a whole /64. */
const networkGroups = 4

/**
 * Returns the key that an IP address is limited by: an IPv4 address in its dotted form, an IPv6 address as its /64.
 * Text that is no IP address, which a misconfigured proxy may pass on, has one common key.
 */
export function addressKey(ip: string): string {
  const [bare = ''] = ip.split('%', 1)
  if (isIPv4(bare)) return bare
  if (!isIPv6(bare)) return 'unknown'
  const groups = groupsOf(bare)
  return mappedIPv4(groups) ?? `${groups.slice(0, networkGroups).map(hex).join(':')}::/64`
}

/**
 * Wider networks that an address counts for, too, each with how many times a single network's limit it may use: a
 * customer may have a /56 or a /48, with 256 or 65536 networks of /64.
 */
const wider = [
  { bits: 56, times: 4 },
  { bits: 48, times: 16 },
] as const

/** Returns what an address counts for besides its own key, given that key. None for IPv4. */
export function widerNetworks(key: string): { key: string; times: number }[] {
  const groups = /^([0-9a-f:]+)::\/64$/.exec(key)?.[1]?.split(':')
  if (!groups) return []
  const [a = '0', b = '0', c = '0', d = '0'] = groups
  return wider.map(({ bits, times }) => {
    const last = bits === 56 ? hex(Number.parseInt(d, 16) & 0xff00) : '0'
    return { key: `${[a, b, c, last].join(':')}::/${bits}`, times }
  })
}

/** Returns the network whose users share a budget of stored bytes: an IPv4 address, or an IPv6 /48. */
export const siteKey = (key: string): string => widerNetworks(key).at(-1)?.key ?? key

const hex = (group: number): string => group.toString(16)

/** The eight 16-bit groups of a valid IPv6 address. */
function groupsOf(ip: string): number[] {
  const [head = '', tail] = ip.split('::')
  const before = partsOf(head)
  const after = tail === undefined ? [] : partsOf(tail)
  return [...before, ...new Array<number>(8 - before.length - after.length).fill(0), ...after]
}

const partsOf = (text: string): number[] => (text === '' ? [] : text.split(':').flatMap(part))

/** Returns one group, or the two groups of a trailing IPv4 address. */
function part(text: string): number[] {
  if (!text.includes('.')) return [Number.parseInt(text, 16)]
  const [a = 0, b = 0, c = 0, d = 0] = text.split('.').map(Number)
  return [a * 256 + b, c * 256 + d]
}

/** A dual-stack socket writes an IPv4 address as `::ffff:a.b.c.d`. */
function mappedIPv4(groups: readonly number[]): string | undefined {
  if (groups.slice(0, 5).some(group => group !== 0) || groups[5] !== 0xffff) return undefined
  return groups
    .slice(6)
    .flatMap(group => [group >> 8, group & 255])
    .join('.')
}

/**
 * Returns true for an IP address, or a CIDR: an address with a prefix length. A length of 0 would trust every client.
 */
export function isNetwork(text: string): boolean {
  const [ip = '', length, ...rest] = text.split('/')
  const version = isIP(ip)
  if (version === 0 || rest.length > 0) return false
  return length === undefined || (/^[1-9]\d{0,2}$/.test(length) && Number(length) <= (version === 4 ? 32 : 128))
}
