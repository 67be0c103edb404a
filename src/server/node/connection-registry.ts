import { type CloseReason, ProtocolError } from '../../protocol/errors.ts'
import { limits } from '../../protocol/limits.ts'
import type { Username } from '../../protocol/names.ts'
import { CounterMap } from '../../util/counter-map.ts'
import type { Config } from '../base/config.ts'
import { unavailable } from '../base/to-protocol-error.ts'
import type { TokenHash } from '../store/store.ts'

/** What may be open at once. */
export type ConnectionLimits = Pick<
  Config,
  'maxConnections' | 'maxConnectionsPerAddress' | 'maxConnectionsPerUser' | 'maxStrangers'
>

/** A socket, seen from outside. */
export type OpenConnection = {
  /** Closes it; resolves when its claim is given up. */
  close(reason: CloseReason, text?: string): Promise<void>
  /** Its peer was told a generation at login that is not the store's any more. */
  readonly isOutdated: boolean
}

const tooMany = (what: string) =>
  new ProtocolError('rate_limited', `too many connections of this ${what}`, { retryAfter: limits.fullRetryS })

/** Every open socket of this node, whose it is, and which token it was given or logged in with. */
export class ConnectionRegistry {
  readonly #limits: ConnectionLimits
  /** With the address each comes from. */
  readonly #open = new Map<OpenConnection, string>()
  /** Those that have not logged in, oldest first. */
  readonly #strangers = new Set<OpenConnection>()
  readonly #users = new Map<OpenConnection, Username>()
  readonly #byAddress = new CounterMap<string>()
  readonly #byUser = new CounterMap<Username>()
  readonly #byToken = new Map<TokenHash, Set<OpenConnection>>()

  constructor(connectionLimits: ConnectionLimits) {
    this.#limits = connectionLimits
  }

  get size(): number {
    return this.#open.size
  }

  /** @throws {ProtocolError} `unavailable` where the node is full, `rate_limited` where the address has too many. */
  checkRoom(address: string): void {
    if (this.#open.size >= this.#limits.maxConnections) throw unavailable('the node is full', limits.fullRetryS)
    if (this.#byAddress.count(address) >= this.#limits.maxConnectionsPerAddress) throw tooMany('address')
  }

  /** A new one, which has not logged in. Where there are too many of those the oldest goes: a login takes less than its turn. */
  add(connection: OpenConnection, address: string): void {
    this.#open.set(connection, address)
    this.#byAddress.add(address)
    this.#strangers.add(connection)
    if (this.#strangers.size <= this.#limits.maxStrangers) return
    const [oldest] = this.#strangers
    if (!oldest) return
    this.#strangers.delete(oldest)
    void oldest.close('loginTimeout', 'too many wait to log in')
  }

  /** It has logged in. @throws {ProtocolError} `rate_limited` where the user has too many. */
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
    this.#byAddress.remove(address)
    this.#strangers.delete(connection)
    const username = this.#users.get(connection)
    if (username !== undefined) this.#byUser.remove(username)
    this.#users.delete(connection)
  }

  /** From now on the connection ends with the token. */
  bind(token: TokenHash, connection: OpenConnection): void {
    const bound = this.#byToken.get(token) ?? new Set()
    this.#byToken.set(token, bound.add(connection))
  }

  unbind(token: TokenHash, connection: OpenConnection): void {
    const bound = this.#byToken.get(token)
    bound?.delete(connection)
    if (bound?.size === 0) this.#byToken.delete(token)
  }

  /** Closes whoever used a token that has ended. */
  revoked(token: TokenHash): void {
    for (const connection of [...(this.#byToken.get(token) ?? [])]) {
      void connection.close('unauthorized', 'the session has ended')
    }
  }

  /** Sends those back to the login whose peers do not know that the store may have lost mail. */
  closeOutdated(): void {
    for (const connection of [...this.#open.keys()]) {
      if (connection.isOutdated) void connection.close('draining', 'what was accepted may be lost: log in again')
    }
  }

  async closeAll(reason: CloseReason, text: string): Promise<void> {
    await Promise.all([...this.#open.keys()].map(connection => connection.close(reason, text)))
  }
}
