import { setTimeout as delay } from 'node:timers/promises'
import type { Test } from 'tap'
import { parseUsername, type Username } from '../../../../src/protocol/names.ts'
import type {
  AppendItem,
  AppendResult,
  Claim,
  Envelope,
  Notice,
  Owner,
  Store,
  StoreOptions,
} from '../../../../src/server/store/store.ts'

/** Two nodes of one deployment, on a new backing. */
export type World = {
  a: Store
  b: Store
  /** Opens another node. */
  open(): Promise<Store>
  /** Lets time pass: moves the clock of the memory engine, waits with Redis. */
  pass(ms: number): Promise<void>
}
export type WorldOptions = Partial<Omit<StoreOptions, 'nodeId'>>
export type OpenWorld = (t: Test, options?: WorldOptions) => Promise<World>

export const contractOptions: Omit<StoreOptions, 'nodeId'> = {
  messageTtlS: 604_800,
  dedupeWindowS: 600,
  inboxMaxMessages: 10_000,
  inboxMaxBytes: 16_777_216,
  senderMaxBytes: 33_554_432,
  addressMaxBytes: 268_435_456,
}

export const alice = parseUsername('alice')
export const bob = parseUsername('bob')
export const carol = parseUsername('carol')
export const dave = parseUsername('dave')
export const open = { kind: 'open' } as const

/** An identity key for a name, for tests that do not depend on the key. */
export const identityOf = (username: string): string => `key-of-${username}`

export async function register(store: Store, ...usernames: Username[]): Promise<void> {
  for (const username of usernames) await store.users.register(username, identityOf(username), open)
}

export const socket = (connection: string, instance = `instance-${connection}`): Owner => ({
  kind: 'socket',
  connection,
  instance,
})
export const http = (token: string, ttlMs = 60_000): Owner => ({ kind: 'http', connection: token, ttlMs })

export async function claimed(store: Store, username: Username, owner: Owner): Promise<Claim> {
  const outcome = await store.inboxes.claim(username, owner)
  if (outcome === 'conflict') throw new Error(`another owner has claimed the inbox of ${username}`)
  return outcome.claim
}

/** A message from bob to alice, unless `changes` say otherwise. */
export const item = (id: string, changes: Partial<AppendItem> = {}): AppendItem => ({
  stream: 'stream',
  from: bob,
  to: alice,
  id,
  kind: 'message',
  body: `body-of-${id}`,
  ttlMs: 600_000,
  ...changes,
})

export const statuses = (results: readonly AppendResult[]): string[] => results.map(({ status }) => status)

/** Returns the sequence number of a result. */
export function seqOf(result: AppendResult | undefined): number {
  if (result?.status !== 'stored') throw new Error(`not stored: ${result?.status}`)
  return result.seq
}

export async function append(store: Store, ...items: AppendItem[]): Promise<number[]> {
  return (await store.inboxes.append(items)).map(seqOf)
}

export const everything = { maxItems: 100_000, maxBytes: 1_000_000_000 }

/** Reads all queued envelopes. @throws {Error} if the claim is stale */
export async function readAll(store: Store, claim: Claim): Promise<Envelope[]> {
  const envelopes = await store.inboxes.read(claim, 0, everything)
  if (envelopes === 'stale') throw new Error('the claim is stale')
  return envelopes
}

export const idsOf = (envelopes: Envelope[] | 'stale'): string[] | 'stale' =>
  envelopes === 'stale' ? envelopes : envelopes.map(({ id }) => id)

type Kind = Notice['kind']
type NoticeOf<K extends Kind> = Extract<Notice, { kind: K }>
const isKind =
  <K extends Kind>(kind: K) =>
  (notice: Notice): notice is NoticeOf<K> =>
    notice.kind === kind

const deadlineMs = 15_000

/** Records the notices of a store. */
export class Notices {
  readonly all: Notice[] = []
  #heard: () => void = () => {}

  constructor(store: Store) {
    store.onNotice(notice => {
      this.all.push(notice)
      this.#heard()
    })
  }

  of<K extends Kind>(kind: K): NoticeOf<K>[] {
    return this.all.filter(isKind(kind))
  }

  /** Waits until there are `count` notices of a kind, and returns them. */
  async first<K extends Kind>(kind: K, count = 1): Promise<NoticeOf<K>[]> {
    await this.#until(() => this.of(kind).length >= count, `${count} notices ${kind}`)
    return this.of(kind)
  }

  /** Resolves when each of the tokens has been reported at least once. */
  revoked(...tokenHashes: string[]): Promise<void> {
    const isReported = (hash: string) => this.of('revoked').some(({ tokenHash }) => tokenHash === hash)
    return this.#until(() => tokenHashes.every(isReported), `revoked notices of ${tokenHashes}`)
  }

  async #until(check: () => boolean, what: string): Promise<void> {
    const timeout = delay(deadlineMs, 'late', { ref: false })
    while (!check()) {
      const heard = new Promise<void>(resolve => {
        this.#heard = resolve
      })
      if ((await Promise.race([heard, timeout])) === 'late') {
        throw new Error(`timed out waiting for ${what}`)
      }
    }
  }
}

/** Polls until `check` returns true. */
export async function until(check: () => Promise<boolean> | boolean, what: string): Promise<void> {
  const start = performance.now()
  while (!(await check())) {
    if (performance.now() - start > deadlineMs) throw new Error(`timed out waiting until ${what}`)
    await delay(10)
  }
}
