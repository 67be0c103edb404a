import { readFileSync } from 'node:fs'
import { adminRoutes } from '../src/protocol/admin-http.ts'
import { parseObject } from '../src/protocol/codec.ts'
import { limits } from '../src/protocol/limits.ts'
import { generateSecret } from '../src/server/base/secrets.ts'
import { HttpClient } from '../tools/clients/http-client.ts'
import { newUser, RawClient, type User } from '../tools/clients/raw-client.ts'
import { type NodeProcess, startNodeProcess } from '../tools/servers/node.ts'
import { type Owner, startRedis } from '../tools/servers/redis.ts'
import type { Known } from './from-schema.ts'

/** The senders and recipients of frames and calls. */
const userCount = 20
/** Users that the operator may block, delete or release, so that the other users keep working. */
const wardCount = 4
const inviteCount = 20
/** Source addresses on loopback, so that no limit per address ends the run early. */
const addressCount = 200
/** Raises the rates and numbers that would stop a run. Sizes, times and quotas are the defaults or smaller. */
const env = {
  LOG_LEVEL: 'info',
  USER_FRAMES_PER_S: '1000000',
  USER_BYTES_PER_S: '1000000000',
  PAIR_MESSAGES_PER_S: '1000000',
  REGISTRATIONS_PER_HOUR: '1000000',
  MAX_CONNECTIONS_PER_USER: '10000',
  INBOX_MAX_MESSAGES: '200',
  INBOX_MAX_BYTES: '1048576',
  DEDUPE_WINDOW_S: '10',
}

/** A node with its Redis and registered users. */
export type World = {
  node: NodeProcess
  users: readonly User[]
  /** Users that the operator's calls may change in any way. */
  wards: readonly User[]
  adminToken: string
  known: Known
  operatorKnown: Known
  nextAddress(): string
}

export async function startWorld(owner: Owner): Promise<World> {
  const redis = await startRedis(owner)
  const adminToken = generateSecret()
  const node = await startNodeProcess(owner, { ...env, REDIS_URL: redis.url, ADMIN_TOKEN: adminToken })
  const users = Array.from({ length: userCount }, () => newUser())
  const wards = Array.from({ length: wardCount }, () => newUser())
  for (const user of [...users, ...wards]) (await RawClient.loggedIn(owner, node.wsUrl, user)).socket.terminate()
  const known = knownOf([...users, ...wards].map(({ username }) => username))
  const operatorKnown = { ...known, ...(await knownOfOperator(new HttpClient(node.url, adminToken), wards)) }
  let dialled = 0
  const nextAddress = () => `127.0.3.${1 + (dialled++ % addressCount)}`
  return { node, users, wards, adminToken, known, operatorKnown, nextAddress }
}

/** Values that the node knows, and some just above a bound. */
function knownOf(names: readonly string[]): Known {
  const targets = [...names, 'nobody-at-all', `${names[0]}@localhost`, `${names[0]}@example.org`, 'A:b', '__proto__']
  const body = [
    'AAAA',
    'A'.repeat(1_000),
    'A'.repeat(limits.maxBodyChars),
    'A'.repeat(limits.maxBodyChars + 1),
    'A',
    '',
  ]
  return {
    to: targets,
    username: targets,
    body,
    id: ['a', 'b', 'c', 'x'.repeat(64), 'x'.repeat(65)],
    seq: [0, 1, Number.MAX_SAFE_INTEGER],
    ttl: [1, 600],
    upTo: [0, 1, Number.MAX_SAFE_INTEGER],
  }
}

/** The node under test is left out: a drained node would accept nothing more. */
async function knownOfOperator(operator: HttpClient, wards: readonly User[]): Promise<Known> {
  const { method, path } = adminRoutes.createInvite
  const invites = await Promise.all(Array.from({ length: inviteCount }, () => operator.call(method, path, {})))
  const names = wards.map(({ username }) => username)
  return {
    username: [...names, ...names, 'nobody-at-all', `${names[0]}@localhost`, `${names[0]}@example.org`, 'A:b'],
    id: [...invites.map(({ body }) => body.id), 'A'.repeat(43), 'A'.repeat(44)],
    node: ['no-such-node', 'A'.repeat(64), 'A'.repeat(65)],
    cursor: ['', `${'0'.repeat(16)} ${'A'.repeat(43)}`, names[0]],
  }
}

/** Returns the resident memory of a process, in bytes; 0 if it has ended. */
export function residentBytes(pid: number): number {
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1_024
  } catch {
    return 0
  }
}

/** Returns the lines of a node's log that report an unexpected error. */
export const unforeseen = (lines: readonly string[]): string[] =>
  lines.filter(line => !line.startsWith('{') || levelOf(line) >= errorLevel)

const errorLevel = 50
function levelOf(line: string): number {
  try {
    return Number(parseObject(line).level)
  } catch {
    return errorLevel
  }
}
