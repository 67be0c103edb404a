import type { Username } from '../../protocol/names.ts'
import type { ConnectionId } from '../store/ids.ts'
import type { Notice } from '../store/store.ts'

/** Whoever waits for an inbox on this node: a socket's delivery or a waiting HTTP call. */
export type Listener = {
  readonly connection: ConnectionId
  notice(notice: Notice): void
}

/** Who on this node wants to know about which inbox. Usually one per user; more while a claim changes hands. */
export class Listeners {
  readonly #byUser = new Map<Username, Set<Listener>>()

  add(username: Username, listener: Listener): void {
    const listeners = this.#byUser.get(username) ?? new Set()
    this.#byUser.set(username, listeners.add(listener))
  }

  /** Removes this listener and no other of the same user. */
  remove(username: Username, listener: Listener): void {
    const listeners = this.#byUser.get(username)
    listeners?.delete(listener)
    if (listeners?.size === 0) this.#byUser.delete(username)
  }

  get size(): number {
    return this.#byUser.size
  }

  /** Hands a notice to those it is for. */
  notify(notice: Notice): void {
    switch (notice.kind) {
      case 'appended':
      case 'deleted':
      case 'keys-low':
        return this.#tell(this.#byUser.get(notice.username), notice)
      case 'replaced':
        return this.#tell(this.#holders(notice.username, notice.connection), notice)
      case 'resumed':
      case 'lease-lost':
        return this.#tell(
          [...this.#byUser.values()].flatMap(listeners => [...listeners]),
          notice,
        )
      case 'revoked':
      case 'drain':
      case 'unheard':
        return
    }
  }

  #holders(username: Username, connection: ConnectionId): Listener[] {
    return [...(this.#byUser.get(username) ?? [])].filter(listener => listener.connection === connection)
  }

  #tell(listeners: Iterable<Listener> | undefined, notice: Notice): void {
    for (const listener of listeners ?? []) listener.notice(notice)
  }
}
