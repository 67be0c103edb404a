import { limits } from '../../protocol/limits.ts'
import type { Username } from '../../protocol/names.ts'
import { defer } from '../../util/deferred.ts'
import { RecentMap } from '../../util/recent-map.ts'
import { widerNetworks } from '../base/address-key.ts'
import type { Clock } from '../base/clock.ts'
import type { Config } from '../base/config.ts'
import { rateLimited } from '../base/to-protocol-error.ts'
import type { Bucket, BucketKind, Buckets } from '../store/store.ts'
import { LeasedBucket, type LeaseRule, toLeaseRule, type Wait } from './leased-bucket.ts'
import { bucketRules } from './rate-table.ts'
import { TokenBucket } from './token-bucket.ts'

/** The most users, pairs and addresses that a node remembers. A dropped entry restarts only its uncounted part. */
const maxUsers = 20_000
const maxPairs = 20_000
const maxAddresses = 10_000

const tooManyRegistrations = 'too many registrations from this address'
const refusalRate = { perSecond: limits.refusalsPerS, burst: limits.refusalsBurst }

type OfUser = { frames: LeasedBucket; bytes: LeasedBucket; refusals: TokenBucket }
type OfPair = { messages: LeasedBucket; bytes: LeasedBucket }

/** Limits users, pairs of users, and addresses over all nodes. */
export class UserRates {
  readonly #buckets: Buckets
  readonly #clock: Clock
  readonly #rules: Readonly<Record<BucketKind, LeaseRule>>
  readonly #users = new RecentMap<Username, OfUser>(maxUsers)
  readonly #callers = new RecentMap<Username, LeasedBucket>(maxUsers)
  readonly #requesters = new RecentMap<Username, LeasedBucket>(maxUsers)
  readonly #pairs = new RecentMap<string, OfPair>(maxPairs)
  readonly #addresses = new RecentMap<string, LeasedBucket>(maxAddresses)

  constructor(config: Config, buckets: Buckets, clock: Clock) {
    this.#buckets = buckets
    this.#clock = clock
    const rule = (kind: BucketKind) => toLeaseRule(bucketRules[kind], bucketRules[kind].rate(config))
    this.#rules = {
      frames: rule('frames'),
      bytes: rule('bytes'),
      calls: rule('calls'),
      messages: rule('messages'),
      messageBytes: rule('messageBytes'),
      fetches: rule('fetches'),
      registrations: rule('registrations'),
    }
  }

  /** Counts a frame on a socket. */
  takeFrame(user: Username, cost: number, bytes: number): Wait {
    const { frames, bytes: volume } = this.#users.take(user, this.#makeUser)
    return both(frames.take(cost), () => volume.take(bytes))
  }

  /**
   * Counts a refusal with a time for the retry. Returns 0 if the user keeps its rate of refusals. A slowed connection
   * leaves that state only when a tenth of the burst is there again: otherwise every second frame would not wait.
   */
  takeRefusal(user: Username, isSlowed: boolean): number {
    return this.#users.take(user, this.#makeUser).refusals.take(isSlowed ? limits.refusalsBurst / 10 : 1)
  }

  /** Counts a message with a body of `bodyChars` characters. */
  takeMessage(user: Username, peer: Username, bodyChars: number): Wait {
    const { messages, bytes } = this.#pairs.take(`${user} ${peer}`, () => this.#makePair(user, peer))
    return both(messages.take(1), () => bytes.take(bodyChars))
  }

  /** @throws {ProtocolError} `rate_limited` */
  async spendMessage(user: Username, peer: Username, bodyChars: number): Promise<void> {
    refuseOver('too many messages to this user', await this.takeMessage(user, peer, bodyChars))
  }

  /** @throws {ProtocolError} `rate_limited` */
  async spendCall(user: Username, cost: number): Promise<void> {
    refuseOver('too many calls', await this.#callers.take(user, this.#makeCaller).take(cost))
  }

  /** Takes tokens for what a frame turned out to cost. Resolves when there were enough. */
  payFrame(user: Username, cost: number): Promise<void> {
    return this.#pay(cost, 'frames', tokens => this.#users.take(user, this.#makeUser).frames.take(tokens))
  }

  /** The same for an HTTP call. */
  payCall(user: Username, cost: number): Promise<void> {
    return this.#pay(cost, 'calls', tokens => this.#callers.take(user, this.#makeCaller).take(tokens))
  }

  async #pay(cost: number, kind: BucketKind, take: (tokens: number) => Wait): Promise<void> {
    const tokens = Math.ceil(Math.min(cost, this.#rules[kind].rate.burst))
    for (let waitMs = await take(tokens); waitMs > 0; waitMs = await take(tokens)) {
      const { promise, resolve } = defer<void>()
      this.#clock.after(Math.max(waitMs, limits.minHoldMs), resolve)
      await promise
    }
  }

  /** @throws {ProtocolError} `rate_limited` @throws {StoreUnavailableError} */
  async spendFetch(user: Username): Promise<void> {
    refuseOver('too many key fetches', await this.#requesters.take(user, this.#makeRequester).take(1))
  }

  /** @throws {ProtocolError} `rate_limited` @throws {StoreUnavailableError} */
  async spendRegistration(address: string): Promise<void> {
    for (const bucket of this.#registrations(address)) refuseOver(tooManyRegistrations, await bucket.take(1))
  }

  /**
   * Takes nothing: refuses what this node knows to be over the rate, before it costs a check of a signature.
   * @throws {ProtocolError} `rate_limited`
   */
  checkRegistrations(address: string): void {
    for (const bucket of this.#registrations(address)) refuseOver(tooManyRegistrations, bucket.emptyForMs)
  }

  #registrations(address: string): LeasedBucket[] {
    const networks = [{ key: address, times: 1 }, ...widerNetworks(address)]
    return networks.map(({ key, times }) => this.#addresses.take(key, () => this.#makeAddress(key, times)))
  }

  #makeUser = (user: Username): OfUser => ({
    frames: this.#open({ kind: 'frames', user }),
    bytes: this.#open({ kind: 'bytes', user }),
    refusals: new TokenBucket(refusalRate, this.#clock),
  })

  #makePair = (user: Username, peer: Username): OfPair => ({
    messages: this.#open({ kind: 'messages', user, peer }),
    bytes: this.#open({ kind: 'messageBytes', user, peer }),
  })

  #makeCaller = (user: Username): LeasedBucket => this.#open({ kind: 'calls', user })
  #makeRequester = (user: Username): LeasedBucket => this.#open({ kind: 'fetches', user })
  #makeAddress = (address: string, times: number): LeasedBucket => this.#open({ kind: 'registrations', address }, times)

  /** `times`: how many times the limit of the table applies. */
  #open(bucket: Bucket, times = 1): LeasedBucket {
    const ask: ConstructorParameters<typeof LeasedBucket>[2] = ({ perSecond, burst }, request) =>
      this.#buckets.lease(bucket, { perSecond: perSecond * times, burst: burst * times }, request)
    return new LeasedBucket(this.#rules[bucket.kind], this.#clock, ask)
  }
}

/** Takes from the second bucket only if the first had enough. */
function both(first: Wait, second: () => Wait): Wait {
  if (typeof first === 'number') return first > 0 ? first : second()
  return first.then(waitMs => (waitMs > 0 ? waitMs : second()))
}

function refuseOver(message: string, waitMs: number): void {
  if (waitMs > 0) throw rateLimited(message, waitMs)
}
