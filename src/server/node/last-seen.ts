import type { Username } from '../../protocol/names.ts'
import { RecentMap } from '../../util/recent-map.ts'
import type { Clock } from '../base/clock.ts'
import type { Users } from '../store/store.ts'

/** How long a user's contact with this node counts as the same one, ms: one write in this time. */
const intervalMs = 60_000
/** The most users that a node remembers. A forgotten user costs one write more. */
const maxUsers = 20_000

/**
 * Keeps "last seen" true for users that never listen. Every authenticated frame and call counts; a login is written at
 * once, and what follows it once a minute at most.
 */
export class LastSeen {
  readonly #users: Pick<Users, 'noteSeen'>
  readonly #clock: Clock
  readonly #noted = new RecentMap<Username, { atMs: number }>(maxUsers)

  constructor(users: Pick<Users, 'noteSeen'>, clock: Clock) {
    this.#users = users
    this.#clock = clock
  }

  /** A user has logged in, with its key or with a token. */
  loggedIn(username: Username): void {
    this.#write(username, this.#clock.elapsed())
  }

  /** A frame or a call of a user has arrived. */
  note(username: Username): void {
    const nowMs = this.#clock.elapsed()
    const noted = this.#noted.peek(username)
    if (!noted || nowMs - noted.atMs >= intervalMs) this.#write(username, nowMs)
  }

  /** Nobody waits for the result: if the store is out of reach, a later contact writes again. */
  #write(username: Username, nowMs: number): void {
    this.#noted.take(username, () => ({ atMs: nowMs })).atMs = nowMs
    this.#users.noteSeen(username).catch(() => this.#noted.delete(username))
  }
}
