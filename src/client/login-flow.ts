import { asError } from '../util/as-error.ts'
import { sleep } from '../util/signal.ts'
import { NotRegisteredError } from './base/errors.ts'
import { serverWords } from './base/server-words.ts'
import { removeExpiredRecords } from './cleanup.ts'
import type { ClientContext } from './connection/client-context.ts'
import type { Identity, Self } from './connection/identity.ts'
import type { Link } from './connection/link.ts'
import { type Authenticated, register, resume } from './connection/login.ts'
import { logInOrReclaim, recordServerLoss, republishCard } from './connection/reclaim-name.ts'
import type { Receipts } from './inbox/receipts.ts'
import type { UndecryptableRetries } from './inbox/retry-undecryptable.ts'
import type { Outbox } from './outbox/outbox.ts'
import type { PrekeyPublisher } from './sessions/prekey-publisher.ts'
import type { RollbackGuard } from './sessions/rollback-guard.ts'
import { drainOneTimeKeys } from './sessions/rollback-recovery.ts'

/** Interval at which an open link checks for due prekey rotation and expired records, ms. */
const upkeepMs = 3_600_000

type Parts = {
  context: ClientContext
  identity: Identity
  /** Overrides the domain that the state was registered with. */
  domain: string | undefined
  rollbackGuard: RollbackGuard
  prekeyPublisher: PrekeyPublisher
  outbox: Outbox
  receipts: Receipts
  undecryptableRetries: UndecryptableRetries
}

/** `registered`: for the first time. `reclaimed`: the server had lost this agent and gave it the name again. */
type Entry = 'registered' | 'known' | 'reclaimed'

/**
 * Logs in on each new link, applies the server's answer to the state, and continues the work of earlier connections.
 */
export class LoginFlow {
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /**
   * Logs in with the token of the last login, or with a signature if there is no valid token.
   * @throws {NotRegisteredError} {DomainMismatchError} {ProtocolError} {UnreachableError}
   */
  async logIn(link: Link): Promise<void> {
    const { identity, context, domain } = this.#parts
    const { self, token } = identity
    if (!self) throw new NotRegisteredError()
    const proof = { link, self: { ...self, domain: domain ?? self.domain } }
    const resumed = token === undefined ? null : await resume(proof, token)
    if (resumed) await this.#enter(link, resumed, 'known')
    else {
      const { answer, isReclaimed } = await logInOrReclaim(proof, context, identity)
      await this.#enter(link, answer, isReclaimed ? 'reclaimed' : 'known')
    }
    queueMicrotask(() => void this.#afterLogin(link))
  }

  /**
   * Registers `self`, whose key is on disk already. The link is logged in afterwards.
   * @throws what `register` throws
   */
  async register(link: Link, self: Self, options: { invite?: string }): Promise<void> {
    await this.#enter(link, await register({ link, self }, options), 'registered')
  }

  /** Applies the server's answer to a login. */
  async #enter(link: Link, answer: Authenticated, entry: Entry): Promise<void> {
    const { context, identity, outbox, rollbackGuard } = this.#parts
    const { generation } = answer
    const before = identity.generationBefore(generation)
    // Resend first. If the new generation were stored first, a crash would lose this step; and messages sent earlier on
    // this link would overtake the resent ones.
    if (before !== undefined || entry === 'reclaimed') {
      await context.store.transaction(tx => recordServerLoss(tx, context.now()))
      await outbox.resendUnconfirmed()
    }
    await identity.confirm(answer)
    await rollbackGuard.check(link, answer)
    if (entry === 'reclaimed') context.events.emit('registered-again', {})
    if (before !== undefined)
      context.events.emit('generation', { from: serverWords(before) ?? '', to: serverWords(generation) ?? '' })
  }

  /** Continues what an earlier connection or process left unfinished. */
  async #afterLogin(link: Link): Promise<void> {
    const { context, prekeyPublisher, outbox, receipts, undecryptableRetries } = this.#parts
    try {
      void this.#drainOldKeys(link)
      await prekeyPublisher.publish(link)
      await republishCard(context, link)
      await outbox.resume()
      await receipts.resume()
      await undecryptableRetries.run()
      await removeExpiredRecords(context)
      await this.#keepUp(link)
    } catch (error) {
      // A link that breaks emits `disconnected`, and the next login repeats these steps.
      if (link.isOpen) context.events.emit('failed', { error: asError(error) })
    }
  }

  /** With a node of an earlier version this takes minutes, so the other work does not wait for it. */
  async #drainOldKeys(link: Link): Promise<void> {
    const { context, prekeyPublisher } = this.#parts
    try {
      await drainOneTimeKeys(context, link, counts => prekeyPublisher.refill(link, counts))
    } catch (error) {
      if (link.isOpen && !context.closing.aborted) context.events.emit('failed', { error: asError(error) })
    }
  }

  /** Does the periodic work until the link ends. */
  async #keepUp(link: Link): Promise<void> {
    const { context, prekeyPublisher } = this.#parts
    const ended = new AbortController()
    void link.closed.then(() => ended.abort())
    while (link.isOpen) {
      await sleep(upkeepMs, ended.signal)
      await prekeyPublisher.publish(link)
      await removeExpiredRecords(context)
    }
  }
}
