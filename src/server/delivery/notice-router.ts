import type { Username } from '../../protocol/names.ts'
import type { ConnectionId } from '../store/ids.ts'
import type { Notice } from '../store/store.ts'

/** Waits for notices about one inbox on this node: the delivery of a socket, or an HTTP call that waits for mail. */
export type NoticeSubscriber = {
  readonly connection: ConnectionId
  notice(notice: Notice): void
}

/**
 * Passes the store's notices to the subscribers of each user. A user usually has one; more while a claim changes hands.
 */
export class NoticeRouter {
  readonly #byUser = new Map<Username, Set<NoticeSubscriber>>()

  add(username: Username, subscriber: NoticeSubscriber): void {
    const subscribers = this.#byUser.get(username) ?? new Set()
    this.#byUser.set(username, subscribers.add(subscriber))
  }

  /** Removes this subscriber, and no other of the same user. */
  remove(username: Username, subscriber: NoticeSubscriber): void {
    const subscribers = this.#byUser.get(username)
    subscribers?.delete(subscriber)
    if (subscribers?.size === 0) this.#byUser.delete(username)
  }

  /** Users with at least one subscriber. */
  get size(): number {
    return this.#byUser.size
  }

  /** Passes a notice to the subscribers it concerns. */
  notify(notice: Notice): void {
    switch (notice.kind) {
      case 'appended':
      case 'deleted':
      case 'keys-low':
        return notifyAll(this.#byUser.get(notice.username), notice)
      case 'replaced':
        return notifyAll(this.#ofConnection(notice.username, notice.connection), notice)
      case 'resumed':
      case 'lease-lost':
        return notifyAll(
          [...this.#byUser.values()].flatMap(subscribers => [...subscribers]),
          notice,
        )
      case 'revoked':
      case 'drain':
      case 'unheard':
        return
    }
  }

  #ofConnection(username: Username, connection: ConnectionId): NoticeSubscriber[] {
    return [...(this.#byUser.get(username) ?? [])].filter(subscriber => subscriber.connection === connection)
  }
}

function notifyAll(subscribers: Iterable<NoticeSubscriber> | undefined, notice: Notice): void {
  for (const subscriber of subscribers ?? []) subscriber.notice(notice)
}
