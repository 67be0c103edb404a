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

/** Users that frames and calls come from and go to. */
const userCount = 20
/** Users that the operator blocks, deletes and takes the names of, so that the others stay able to say something. */
const wardCount = 4
const inviteCount = 20
/** Loopback addresses that connections come from, so that no limit of one address ends the run early. */
const addressCount = 200
/** Rates and numbers that would stop a run; sizes, times and quotas stay as they are, or are smaller. */
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

/** A node with its Redis, and users that it knows. */
export type World = {
  node: NodeProcess
  users: readonly User[]
  /** Users of whom the operator may make anything. */
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

/** Values that lead somewhere, among them some just beyond a bound. */
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

/** The node under test is not among the nodes: drained it would take nothing more, as it should. */
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

/** Resident memory of a process, bytes; 0 where there is none. */
export function residentBytes(pid: number): number {
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1_024
  } catch {
    return 0
  }
}

/** Lines of a node's log that say that something was not foreseen. */
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
