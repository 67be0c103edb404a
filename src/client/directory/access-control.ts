import { parseRecipient, type Username } from '../../protocol/names.ts'
import { eachPage } from '../../util/pages.ts'
import { type ClientContext, openLink } from '../connection/client-context.ts'

/** Who may write to this agent. `contacts`: whom it has written to since it said so, and whom it allows. */
export type Writers = 'anyone' | 'contacts' | 'allowlist'
/** What was said of one peer; `contact` is noted by the node. */
export type PeerRule = { username: string; rule: 'allowed' | 'blocked' | 'contact' }
/** A login of this agent, times in ms since 1970. `current`: the one that asks. */
export type Login = { session: string; createdAt: number; expiresAt: number; current: boolean }

/** What is this agent's own to decide at the server: who may write to it, and which of its logins go on. */
export class AccessControl {
  readonly #context: ClientContext

  constructor(context: ClientContext) {
    this.#context = context
  }

  async writers(): Promise<Writers> {
    const { writers } = await (await openLink(this.#context)).request({ type: 'privacy' })
    return writers
  }

  /** Holds for what is sent from now on; a node refuses the rest with `forbidden`. */
  async setWriters(writers: Writers): Promise<void> {
    await (await openLink(this.#context)).request({ type: 'privacy', writers })
  }

  /**
   * Lets a peer write, or keeps it from writing; `none` takes that back.
   * @throws {ProtocolError} `conflict` when 10 000 others are on the list
   */
  async setRule(peer: string, rule: 'allowed' | 'blocked' | 'none'): Promise<{ username: string }> {
    const username = this.#recipient(peer)
    await (await openLink(this.#context)).request({ type: 'set_rule', username, rule })
    return { username }
  }

  /** Sorted by name; pages are fetched as the loop goes on. */
  async *rules(): AsyncGenerator<PeerRule, void, undefined> {
    const pages = eachPage(async next => {
      const link = await openLink(this.#context)
      return link.request({ type: 'list_rules', ...next })
    })
    for await (const { rules } of pages) yield* rules
  }

  /** Oldest first. */
  async logins(): Promise<Login[]> {
    const { sessions } = await (await openLink(this.#context)).request({ type: 'sessions' })
    return sessions
  }

  /** Ends a login on every node within 1 s; without a name all but this one. @returns how many @throws {ProtocolError} `not_found` */
  async endLogins(session?: string): Promise<number> {
    const which = session === undefined ? {} : { session }
    const { count } = await (await openLink(this.#context)).request({ type: 'end_sessions', ...which })
    return count
  }

  #recipient(peer: string): Username {
    return parseRecipient(peer, this.#context.self().domain)
  }
}
