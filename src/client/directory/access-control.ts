import { sessionSource } from '../../protocol/fields.ts'
import { isUsername, parseRecipient, type Username } from '../../protocol/names.ts'
import { eachPage } from '../../util/pages.ts'
import { matching, oneOf, optional, text } from '../base/arguments.ts'
import { checkMethods } from '../base/checked-methods.ts'
import { ServerFaultError } from '../base/errors.ts'
import { repeatedPage } from '../base/repeated-page.ts'
import { type ClientContext, openLink } from '../connection/client-context.ts'

/**
 * The agents that may write to this one. `contacts`: agents that it has written to since it chose this, or has allowed.
 */
export type Writers = 'anyone' | 'contacts' | 'allowlist'
/** The rule for one peer. A node sets `contact` by itself when this agent writes to the peer. */
export type PeerRule = { username: string; rule: 'allowed' | 'blocked' | 'contact' }
/** A login of this agent; times in ms since 1970. `current`: the login of this connection. */
export type Login = { session: string; createdAt: number; expiresAt: number; current: boolean }

/** Sets which agents may write to this one, and lists and ends this agent's logins. */
export class AccessControl {
  readonly #context: ClientContext

  /** @internal */
  constructor(context: ClientContext) {
    this.#context = context
  }

  async writers(): Promise<Writers> {
    const { writers } = await (await openLink(this.#context)).request({ type: 'privacy' })
    return writers
  }

  /** Applies to messages sent from now on. Nodes refuse other senders with `forbidden`. */
  async setWriters(writers: Writers): Promise<void> {
    await (await openLink(this.#context)).request({ type: 'privacy', writers })
  }

  /**
   * Allows or blocks a peer, registered or not; `none` removes the rule.
   * @returns `known`: false if no agent of this name is registered, perhaps because it is misspelt. Undefined for
   *   `none`, and if the server does not say it.
   * @throws {ProtocolError} `conflict` if the list has 10 000 other peers already
   */
  async setRule(
    peer: string,
    rule: 'allowed' | 'blocked' | 'none',
  ): Promise<{ username: string; known: boolean | undefined }> {
    const username = this.#recipient(peer)
    const { known } = await (await openLink(this.#context)).request({ type: 'set_rule', username, rule })
    return { username, known }
  }

  /** Yields the rules, sorted by name. Fetches each page when the loop needs it. */
  async *rules(): AsyncGenerator<PeerRule, void, undefined> {
    const pages = eachPage(async next => {
      const link = await openLink(this.#context)
      return link.request({ type: 'list_rules', ...next })
    }, repeatedPage)
    for await (const { rules } of pages) {
      for (const rule of rules) {
        if (!isUsername(rule.username)) throw new ServerFaultError('the server listed a rule without a valid name')
        yield rule
      }
    }
  }

  /** Returns the logins, oldest first. */
  async logins(): Promise<Login[]> {
    const { sessions } = await (await openLink(this.#context)).request({ type: 'sessions' })
    return sessions
  }

  /**
   * Ends a login on every node within 1 s.
   * @param session names the login; without it, all logins but this connection's end
   * @returns how many logins ended
   * @throws {ProtocolError} `not_found`
   */
  async endLogins(session?: string): Promise<number> {
    const which = session === undefined ? {} : { session }
    const { count } = await (await openLink(this.#context)).request({ type: 'end_sessions', ...which })
    return count
  }

  #recipient(peer: string): Username {
    return parseRecipient(peer, this.#context.self().domain)
  }
}

checkMethods(AccessControl, {
  writers: ['promise'],
  setWriters: ['promise', ['writers', oneOf('anyone', 'contacts', 'allowlist')]],
  setRule: ['promise', ['peer', text], ['rule', oneOf('allowed', 'blocked', 'none')]],
  rules: ['iterator'],
  logins: ['promise'],
  endLogins: ['promise', ['session', optional(matching(new RegExp(sessionSource), 'the 16 characters of a login'))]],
})
