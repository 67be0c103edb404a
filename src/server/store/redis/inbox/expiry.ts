import { parseUsername, type Username } from '../../../../protocol/names.ts'
import { dueKey, expiryLock, inboxKey, metaKey, shareKey } from '../connection/keys.ts'
import { asArray, asString, asStrings } from '../connection/reply.ts'
import { scripts } from '../connection/script.ts'
import type { RedisContext } from '../nodes/context.ts'

/** Users that one step checks. */
const stepUsers = 100

type Due = { username: Username; at: string }
type FinishDeletion = (username: Username) => Promise<void>

/**
 * The sweep: removes expired mail and completes interrupted deletions. An index of due times avoids a scan over all
 * users. It contains the user's earliest expiry, so that a user costs at most one check per lifetime of a message.
 */
export class RedisExpiry {
  readonly #context: RedisContext
  readonly #finishDeletion: FinishDeletion

  constructor(context: RedisContext, finishDeletion: FinishDeletion) {
    this.#context = context
    this.#finishDeletion = finishDeletion
  }

  /**
   * Marks the user as due at `at`, ms since 1970. The index is written before the field `due` of the user, so that the
   * next append repeats a mark that failed in between.
   */
  async mark(username: Username, at: number): Promise<void> {
    const { redis } = this.#context
    await scripts.markDue.run(redis, [dueKey], [username, at])
    await scripts.noteDue.run(redis, [metaKey(username)], [at])
  }

  /**
   * One node at a time sweeps. It stays correct if two do: every step carries a fencing number. Continues the last
   * sweep.
   */
  async sweep(): Promise<void> {
    await this.#context.locks.hold(expiryLock, async fence => {
      const due = await this.#due()
      const outcomes = await Promise.all(due.map(entry => this.#check(entry, fence)))
      return due.length === 0 || outcomes.includes('overtaken') ? 'done' : 'more'
    })
  }

  async #due(): Promise<Due[]> {
    const flat = asStrings(await scripts.due.run(this.#context.redis, [dueKey], [stepUsers]))
    return flat.flatMap((name, at) => (at % 2 === 0 ? { username: parseUsername(name), at: flat[at + 1] ?? '' } : []))
  }

  async #check({ username, at }: Due, fence: number): Promise<'checked' | 'overtaken'> {
    const { redis, stored } = this.#context
    const keys = [metaKey(username), inboxKey(username), shareKey(username)]
    const [outcome, removed] = asArray(await scripts.expire.run(redis, keys, [fence]))
    stored.removed(asStrings(removed))
    if (outcome === 'overtaken') return outcome
    if (outcome === 'leaving') await this.#finishDeletion(username)
    else if (outcome !== 'more') await scripts.settleDue.run(redis, [dueKey], [username, at, asString(outcome)])
    return 'checked'
  }
}
