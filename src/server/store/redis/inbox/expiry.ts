import { parseUsername, type Username } from '../../../../protocol/names.ts'
import { dueKey, expiryLock, inboxKey, metaKey, shareKey } from '../connection/keys.ts'
import { asString, asStrings } from '../connection/reply.ts'
import { scripts } from '../connection/script.ts'
import type { RedisContext } from '../nodes/context.ts'

/** Users that one step looks at. */
const stepUsers = 100

type Due = { username: Username; at: string }
type FinishDeletion = (username: Username) => Promise<void>

/**
 * What goes by itself: mail past its ttl, and deletions that stopped half way. An index says who is due when, so that nobody looks at everybody: a user
 * that comes for its mail is looked at once in the life of a message, one that does not when the first of it expires.
 */
export class RedisExpiry {
  readonly #context: RedisContext
  readonly #finishDeletion: FinishDeletion

  constructor(context: RedisContext, finishDeletion: FinishDeletion) {
    this.#context = context
    this.#finishDeletion = finishDeletion
  }

  /**
   * Has a user looked at when the first of its mail expires. The index is written before the user says that it was, so that half of it is
   * done again by the next append.
   */
  async mark(username: Username, at: number): Promise<void> {
    const { redis } = this.#context
    await scripts.markDue.run(redis, [dueKey], [username, at])
    await scripts.noteDue.run(redis, [metaKey(username)], [at])
  }

  /** One node at a time, and right even when two do it: every step carries a fencing number. Goes on where the last one stopped. */
  async sweep(): Promise<void> {
    await this.#context.locks.hold(expiryLock, async fence => {
      const due = await this.#due()
      const outcomes = await Promise.all(due.map(entry => this.#look(entry, fence)))
      return due.length === 0 || outcomes.includes('overtaken') ? 'done' : 'more'
    })
  }

  async #due(): Promise<Due[]> {
    const flat = asStrings(await scripts.due.run(this.#context.redis, [dueKey], [stepUsers]))
    return flat.flatMap((name, at) => (at % 2 === 0 ? { username: parseUsername(name), at: flat[at + 1] ?? '' } : []))
  }

  async #look({ username, at }: Due, fence: number): Promise<'looked' | 'overtaken'> {
    const { redis } = this.#context
    const keys = [metaKey(username), inboxKey(username), shareKey(username)]
    const outcome = asString(await scripts.expire.run(redis, keys, [fence]))
    if (outcome === 'overtaken') return outcome
    if (outcome === 'leaving') await this.#finishDeletion(username)
    else if (outcome !== 'more') await scripts.settleDue.run(redis, [dueKey], [username, at, outcome])
    return 'looked'
  }
}
