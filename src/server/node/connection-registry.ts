import { type CloseReason, ProtocolError } from '../../protocol/errors.ts'
import { limits } from '../../protocol/limits.ts'
import type { Username } from '../../protocol/names.ts'
import { CounterMap } from '../../util/counter-map.ts'
import { widerNetworks } from '../base/address-key.ts'
import type { Config } from '../base/config.ts'
import { unavailable } from '../base/to-protocol-error.ts'
import type { TokenHash } from '../store/ids.ts'

/** The bounds on open sockets. */
type ConnectionLimits = Pick<
  Config,
  'maxConnections' | 'maxConnectionsPerAddress' | 'maxConnectionsPerUser' | 'maxStrangers'
>

/** Uses a token, and ends when the token is revoked. */
export type TokenHolder = {
  close(reason: CloseReason, text: string, counted?: string): Promise<void>
}

/** A socket as the registry sees it. */
export type OpenConnection = TokenHolder & {
  /** True if the login told the peer a generation that is no longer the store's. */
  readonly isOutdated: boolean
}

const tooMany = (what: string) =>
  new ProtocolError('rate_limited', `too many connections of this ${what}`, { retryAfter: limits.fullRetryS })

/** An address, and the wider networks that it counts for. */
const networksOf = (address: string) => [{ key: address, times: 1 }, ...widerNetworks(address)]

/**
 * Every open socket of this node by address, user and token. HTTP calls that wait for mail are registered by token
 * only.
 */
export class ConnectionRegistry {
  readonly #limits: ConnectionLimits
  /** Values are the addresses that the sockets come from. */
  readonly #open = new Map<OpenConnection, string>()
  /** Sockets that have not logged in, oldest first. */
  readonly #strangers = new Set<OpenConnection>()
  readonly #users = new Map<OpenConnection, Username>()
  readonly #byAddress = new CounterMap<string>()
  readonly #byUser = new CounterMap<Username>()
  readonly #byToken = new Map<TokenHash, Set<TokenHolder>>()

  constructor(connectionLimits: ConnectionLimits) {
    this.#limits = connectionLimits
  }

  get size(): number {
    return this.#open.size
  }

  /** @throws {ProtocolError} `unavailable` if the node is full, `rate_limited` if the address has too many sockets. */
  checkRoom(address: string): void {
    if (this.#open.size >= this.#limits.maxConnections) throw unavailable('the node is full', limits.fullRetryS)
    for (const { key, times } of networksOf(address)) {
      if (this.#byAddress.count(key) >= this.#limits.maxConnectionsPerAddress * times) throw tooMany('address')
    }
  }

  /**
   * Adds a socket that has not logged in. If there are too many such sockets, closes the oldest: it had time for a
   * login.
   */
  add(connection: OpenConnection, address: string): void {
    this.#open.set(connection, address)
    for (const { key } of networksOf(address)) this.#byAddress.add(key)
    this.#strangers.add(connection)
    if (this.#strangers.size <= this.#limits.maxStrangers) return
    const [oldest] = this.#strangers
    if (!oldest) return
    this.#strangers.delete(oldest)
    void oldest.close('loginTimeout', 'too many connections wait to log in')
  }

  /** Called when a socket has logged in. @throws {ProtocolError} `rate_limited` if the user has too many sockets. */
  admit(connection: OpenConnection, username: Username): void {
    if (!this.#open.has(connection)) return
    if (this.#byUser.count(username) >= this.#limits.maxConnectionsPerUser) throw tooMany('user')
    this.#strangers.delete(connection)
    this.#users.set(connection, username)
    this.#byUser.add(username)
  }

  remove(connection: OpenConnection): void {
    const address = this.#open.get(connection)
    if (address === undefined) return
    this.#open.delete(connection)
    for (const { key } of networksOf(address)) this.#byAddress.remove(key)
    this.#strangers.delete(connection)
    const username = this.#users.get(connection)
    if (username !== undefined) this.#byUser.remove(username)
    this.#users.delete(connection)
  }

  /** From now on, a revocation of the token closes `holder`. */
  bind(token: TokenHash, holder: TokenHolder): void {
    const bound = this.#byToken.get(token) ?? new Set()
    this.#byToken.set(token, bound.add(holder))
  }

  unbind(token: TokenHash, holder: TokenHolder): void {
    const bound = this.#byToken.get(token)
    bound?.delete(holder)
    if (bound?.size === 0) this.#byToken.delete(token)
  }

  /** Closes every holder of a token that has ended. */
  revoked(token: TokenHash): void {
    for (const holder of [...(this.#byToken.get(token) ?? [])]) {
      void holder.close('unauthorized', 'the login has ended')
    }
  }

  /** Closes connections whose peers do not know that the store may have lost mail, so that they log in again. */
  closeOutdated(): void {
    for (const connection of [...this.#open.keys()]) {
      if (connection.isOutdated)
        void void connection.close('draining', 'accepted messages may be lost: log in again', 'storeLost')
    }
  }

  /** The metric counts the sockets as `counted`. */
  async closeAll(reason: CloseReason, text: string, counted: string = reason): Promise<void> {
    await Promise.all([...this.#open.keys()].map(connection => connection.close(reason, text, counted)))
  }
}
