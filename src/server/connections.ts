import type { CloseReason } from '../protocol/errors.ts'
import type { TokenHash } from './store/store.ts'

/** A socket, seen from outside. */
export type OpenConnection = {
  /** Closes it; resolves when its claim is given up. */
  close(reason: CloseReason, text?: string): Promise<void>
}

/** Every open socket of this node, and which token it was given or logged in with. */
export class Connections {
  readonly #open = new Set<OpenConnection>()
  readonly #byToken = new Map<TokenHash, Set<OpenConnection>>()

  get size(): number {
    return this.#open.size
  }

  add(connection: OpenConnection): void {
    this.#open.add(connection)
  }

  remove(connection: OpenConnection): void {
    this.#open.delete(connection)
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

  async closeAll(reason: CloseReason, text: string): Promise<void> {
    await Promise.all([...this.#open].map(connection => connection.close(reason, text)))
  }
}
