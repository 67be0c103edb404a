import { limits } from '../../../../protocol/limits.ts'
import type { Username } from '../../../../protocol/names.ts'
import { RecentMap } from '../../../../util/recent-map.ts'
import { type Storage, StorageBudgetError, type StorageRefusal, type StorageUse } from '../../storage.ts'
import type { StoreOptions } from '../../store.ts'
import { storedKey } from '../connection/keys.ts'
import type { RedisClient } from '../connection/redis-client.ts'
import { asArray, asNumber } from '../connection/reply.ts'
import { scripts } from '../connection/script.ts'
import type { MemoryWatch } from './memory-watch.ts'
import { hashAddress, type Origin, readOrigin } from './origin.ts'

/** Most users and addresses that a node remembers, about 200 bytes each. */
const maxUsers = 50_000
const maxOrigins = 20_000
/** Smaller changes of an address wait, so that mail that is read at once costs few calls. Bytes, and ms. */
const smallBytes = 1_048_576
const calmMs = 5_000
/** The interval at which a node settles its changes, ms. */
const settleMs = 100
/** How long sums are fresh enough to refuse by, ms. */
const freshMs = 250
/** The share of a budget that a node uses before it compares with the other nodes. */
const unsettledShare = 1 / 16
/** Users in one call. */
const maxUsersEach = 500

type Sums = { mail: number; brief: number; own: number }
type OfUser = { name: Username; origin: OfOrigin; mail: number; change: number }
type OfOrigin = {
  readonly origin: Origin
  sums: Sums
  /** What this node has not settled yet, and the users of whose mail that is. */
  change: Sums
  readonly changed: Set<OfUser>
  /** Bytes that were added since the last settlement. */
  added: number
  isKnown: boolean
  /** True while it is in `#unsettled`. */
  isUnsettled: boolean
  settledAt: number
  settling: Promise<void> | undefined
}

/**
 * What each sender, and all users of one address together, have stored (docs/LIMITS.md). The sums are in Redis, one
 * hash for each address. A node settles its changes in batches, and decides by the last sums and its own changes.
 * That hash is not in the slot of an inbox, so an append cannot count in the same step. A node that dies may lose a
 * release; the lost bytes end with their generation.
 */
export class StoredBytes implements Storage {
  readonly #redis: RedisClient
  readonly #options: StoreOptions
  readonly #memory: MemoryWatch
  readonly #salt: string
  readonly #users = new RecentMap<Username, OfUser>(maxUsers)
  readonly #origins = new RecentMap<Origin, OfOrigin>(maxOrigins)
  /** Addresses with changes: an entry that left `#origins` meanwhile is still settled. */
  readonly #unsettled = new Map<Origin, OfOrigin>()
  /** What was removed of users whose address is not known here. */
  #removed = new Map<Username, number>()
  #timer: NodeJS.Timeout | undefined
  #isClosed = false
  #count: (why: StorageRefusal) => void = () => {}

  constructor(redis: RedisClient, options: StoreOptions, memory: MemoryWatch, salt: string) {
    this.#redis = redis
    this.#options = options
    this.#memory = memory
    this.#salt = salt
  }

  use(): StorageUse {
    return this.#memory.use
  }

  onRefusal(count: (why: StorageRefusal) => void): void {
    this.#count = count
  }

  close(): void {
    this.#isClosed = true
    clearTimeout(this.#timer)
  }

  hash(address: string): string {
    return hashAddress(this.#salt, address)
  }

  /** Reads the sums of these users' addresses, if this node does not know them or used a good part of a budget. */
  async prepare(usernames: Iterable<Username>): Promise<void> {
    const waits: Promise<unknown>[] = []
    for (const username of new Set(usernames)) {
      const user = this.#users.peek(username)
      if (!user || !this.#isCurrent(user)) waits.push(this.#load(username))
    }
    if (waits.length > 0) await Promise.all(waits)
  }

  /** Counts mail of a sender, before it is stored. Returns why it must wait instead, or `null`. */
  takeMail(from: Username, bodyBytes: number): StorageRefusal | null {
    const user = this.#users.peek(from)
    if (!user) return null
    const bytes = bodyBytes + limits.envelopeBytes
    const why = this.#refusal(user, bytes)
    if (why) this.#refused(user, why)
    else this.#change(user, bytes, limits.dedupeBytes)
    return why
  }

  /** The next `prepare` reads the sums again, if they are not fresh: another node may have made room. */
  #refused(user: OfUser, why: StorageRefusal): void {
    this.#count(why)
    const { origin } = user
    if (performance.now() - origin.settledAt < freshMs) return
    origin.isKnown = false
    origin.changed.add(user)
  }

  /** Takes back what `takeMail` counted: nothing was stored. */
  returnMail(from: Username, bodyBytes: number): void {
    const user = this.#users.peek(from)
    if (user) this.#change(user, -bodyBytes - limits.envelopeBytes, -limits.dedupeBytes)
  }

  /** A sender waits for another reason. */
  countRefusal(why: StorageRefusal): void {
    this.#count(why)
  }

  /** Counts what a script removed: strings of "sender count bytes", one or several times. */
  removed(texts: readonly string[]): void {
    for (const text of texts) {
      const words = text.split(' ')
      for (let at = 0; at + 2 < words.length; at += 3) {
        this.#release(words[at] as Username, Number(words[at + 2]) + Number(words[at + 1]) * limits.envelopeBytes)
      }
    }
  }

  #release(username: Username, bytes: number): void {
    const user = this.#users.peek(username)
    if (user) return this.#change(user, -bytes)
    this.#removed.set(username, (this.#removed.get(username) ?? 0) + bytes)
    this.#schedule()
  }

  /** Counts a change of what a user keeps besides mail. It happened already, so a failure here is no error. */
  async changeOwn(username: Username, bytes: number): Promise<void> {
    if (bytes === 0) return
    const user = this.#users.peek(username)
    const origin = user ? null : await readOrigin(this.#redis, username).catch(() => null)
    const found = user ?? (origin && this.#remember(username, origin))
    if (found) this.#change(found, 0, 0, bytes)
  }

  /** Counts data that Redis keeps for about as long as it recognizes repeated sends. */
  addBrief(username: Username, bytes: number): void {
    const user = this.#users.peek(username)
    if (user) this.#change(user, 0, bytes)
  }

  /** Checks that a user may store more besides mail. @throws {StorageBudgetError} */
  async checkGrowth(username: Username): Promise<void> {
    await this.prepare([username])
    const user = this.#users.peek(username)
    if (user) this.#refuseOver(user.origin)
  }

  /** Checks that an address may register one more user. @throws {StorageBudgetError} */
  async checkRegistration(address: string): Promise<void> {
    if (address === '') return
    const origin = this.#originOf(this.hash(address))
    if (!this.#isSettled(origin)) await this.#settle(origin)
    this.#refuseOver(origin)
  }

  #refuseOver(origin: OfOrigin): void {
    if (!this.#isOverShare(origin, 0)) return
    this.#count('share')
    throw new StorageBudgetError('memory is short, and the users of your address hold a large part of it')
  }

  #refusal(user: OfUser, bytes: number): StorageRefusal | null {
    const { origin } = user
    if (user.mail + user.change + bytes > this.#senderBudget()) return 'sender'
    if (origin.sums.mail + origin.change.mail + bytes > this.#options.addressMaxBytes) return 'address'
    return this.#isOverShare(origin, bytes) ? 'share' : null
  }

  #senderBudget(): number {
    return Math.min(this.#options.senderMaxBytes, this.#memory.freeBytes * limits.senderShareOfFree)
  }

  /**
   * The users of one address may take no more than is free. So the fuller Redis is, the less each address may have,
   * and there is always as much free as the largest of them has.
   */
  #isOverShare({ sums, change }: OfOrigin, bytes: number): boolean {
    const total = sums.mail + sums.brief + sums.own + change.mail + change.brief + change.own
    return total + bytes > this.#memory.freeBytes
  }

  #isCurrent({ origin, change }: OfUser): boolean {
    return this.#isSettled(origin) && change < this.#senderBudget() * unsettledShare
  }

  #isSettled({ isKnown, added }: OfOrigin): boolean {
    const budget = Math.min(this.#options.addressMaxBytes, this.#memory.freeBytes)
    return isKnown && added < budget * unsettledShare
  }

  async #load(username: Username): Promise<OfUser> {
    const user = this.#users.peek(username) ?? this.#remember(username, await readOrigin(this.#redis, username))
    if (!this.#isCurrent(user)) await this.#settle(user.origin)
    return user
  }

  #remember(name: Username, origin: Origin): OfUser {
    const of = this.#originOf(origin)
    const unsettled = [...of.changed].find(user => user.name === name)
    return this.#users.take(name, () => unsettled ?? { name, origin: of, mail: 0, change: 0 })
  }

  #originOf(origin: Origin): OfOrigin {
    return this.#origins.take(origin, () => this.#unsettled.get(origin) ?? newOrigin(origin))
  }

  #change(user: OfUser, mail: number, brief = 0, own = 0): void {
    const { origin } = user
    const { change } = origin
    user.change += mail
    change.mail += mail
    change.brief += brief
    change.own += own
    origin.added += Math.max(0, mail) + Math.max(0, brief) + Math.max(0, own)
    if (mail !== 0) origin.changed.add(user)
    if (!origin.isUnsettled) {
      origin.isUnsettled = true
      this.#unsettled.set(origin.origin, origin)
    }
    if (!this.#timer) this.#schedule()
  }

  #schedule(): void {
    if (this.#timer || this.#isClosed) return
    this.#timer = setTimeout(() => void this.#settleAll(), settleMs)
    this.#timer.unref()
  }

  async #settleAll(): Promise<void> {
    try {
      await this.#placeRemoved()
      const now = performance.now()
      const small = Math.min(smallBytes, this.#senderBudget() * unsettledShare)
      const due = [...this.#unsettled.values()].filter(
        ({ change, added, settledAt }) => Math.abs(change.mail) >= small || added >= small || now - settledAt >= calmMs,
      )
      await Promise.all(due.map(origin => this.#settle(origin)))
    } catch {
      // Redis is out of reach or full. The changes are kept.
    } finally {
      this.#timer = undefined
      if (this.#unsettled.size > 0 || this.#removed.size > 0) this.#schedule()
    }
  }

  async #placeRemoved(): Promise<void> {
    if (this.#removed.size === 0) return
    const removed = this.#removed
    this.#removed = new Map()
    try {
      for (const [username, bytes] of removed) {
        const origin = await readOrigin(this.#redis, username)
        removed.delete(username)
        this.#change(this.#remember(username, origin), -bytes)
      }
    } finally {
      for (const [username, bytes] of removed) this.#removed.set(username, (this.#removed.get(username) ?? 0) + bytes)
    }
  }

  #settle(origin: OfOrigin): Promise<void> {
    origin.settling ??= this.#settleNow(origin).finally(() => {
      origin.settling = undefined
    })
    return origin.settling
  }

  async #settleNow(origin: OfOrigin): Promise<void> {
    const users = [...origin.changed].slice(0, maxUsersEach).map(user => ({ user, change: user.change }))
    const mail = users.reduce((sum, { change }) => sum + change, 0)
    const { brief, own } = origin.change
    const { added } = origin
    const { messageTtlS, dedupeWindowS } = this.#options
    const args = [messageTtlS * 1_000, dedupeWindowS * 1_000, brief, own]
    const pairs = users.flatMap(({ user, change }) => [user.name, change])
    const reply = asArray(await scripts.settle.run(this.#redis, [storedKey(origin.origin)], [...args, ...pairs]))
    const [sumOfMail = 0, sumOfBrief = 0, sumOfOwn = 0, ...ofUsers] = reply.map(asNumber)
    origin.sums = { mail: sumOfMail, brief: sumOfBrief, own: sumOfOwn }
    origin.change.mail -= mail
    origin.change.brief -= brief
    origin.change.own -= own
    origin.added -= added
    origin.isKnown = true
    origin.settledAt = performance.now()
    for (const [at, { user, change }] of users.entries()) {
      user.mail = ofUsers[at] ?? 0
      user.change -= change
      if (user.change === 0) origin.changed.delete(user)
    }
    const { change } = origin
    const isEven = change.mail === 0 && change.brief === 0 && change.own === 0
    if (!isEven || origin.changed.size > 0) return
    origin.isUnsettled = false
    this.#unsettled.delete(origin.origin)
  }
}

const newOrigin = (origin: Origin): OfOrigin => ({
  origin,
  sums: { mail: 0, brief: 0, own: 0 },
  change: { mail: 0, brief: 0, own: 0 },
  changed: new Set(),
  added: 0,
  isKnown: false,
  isUnsettled: false,
  settledAt: 0,
  settling: undefined,
})
