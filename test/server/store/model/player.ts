import { parseUsername, type Username } from '../../../../src/protocol/names.ts'
import type {
  AppendItem,
  AppendResult,
  Claim,
  Envelope,
  InviteRule,
  Notice,
  Store,
} from '../../../../src/server/store/store.ts'
import type { Choice, ItemChoice, NumberChoice, Operation, RuleChoice } from './operations.ts'

type Play<K extends Operation['kind']> = Extract<Operation, { kind: K }>

/**
 * Runs operations on the nodes of one engine, and returns results that depend neither on the clock nor on the engine.
 */
export class Player {
  readonly #nodes: readonly Store[]
  readonly #run: string
  /** The sequence numbers of each inbox, in order of appearance. */
  readonly #seqs = new Map<Username, number[]>()
  readonly #epochs = new Map<Username, number[]>()
  readonly #claims: { claim: Claim; node: Choice }[] = []
  readonly #notices: Notice[][] = []

  constructor(nodes: readonly Store[], run: string) {
    this.#nodes = nodes
    this.#run = run
    for (const store of nodes) {
      const heard: Notice[] = []
      this.#notices.push(heard)
      store.onNotice(notice => {
        if ('username' in notice && notice.username.startsWith(run)) heard.push(notice)
      })
    }
  }

  /** The number of notices of all nodes. */
  get noticed(): number {
    return this.#notices.reduce((sum, { length }) => sum + length, 0)
  }

  /** The notices of each node, sorted so that their order does not matter. */
  get notices(): string[][] {
    return this.#notices.map(heard => heard.map(notice => JSON.stringify(this.#notice(notice))).sort())
  }

  play(operation: Operation): Promise<unknown> {
    const store = this.#store(operation.node)
    switch (operation.kind) {
      case 'register':
        return store.users.register(this.#user(operation.user), `key-${operation.key}`, this.#rule(operation.rule))
      case 'addInvite':
        return store.users.addInvite(this.#text(operation.invite), 3_600_000)
      case 'findUser':
        return this.#findUser(store, operation.user)
      case 'findAccount':
        return this.#findAccount(store, operation.user)
      case 'block':
        return store.admin.block(this.#user(operation.user))
      case 'unblock':
        return store.admin.unblock(this.#user(operation.user))
      case 'releaseName':
        return store.admin.releaseName(this.#user(operation.user))
      case 'listLogins':
        return store.logins.list(this.#user(operation.user)).then(logins => logins.map(login => login.tokenHash))
      case 'listRules':
        return store.privacy.listRules(this.#user(operation.user), { limit: 3 })
      case 'setWriters':
        return store.privacy.setWriters(this.#user(operation.user), operation.writers)
      case 'setRule':
        return store.privacy.setRule(this.#user(operation.user), this.#user(operation.peer), operation.rule)
      case 'revokeInvite':
        return store.admin.revokeInvite(this.#text(operation.invite))
      case 'deleteUser':
        return store.users.delete(this.#user(operation.user))
      case 'countQueued':
        return store.inboxes.countQueued(this.#user(operation.user))
      case 'countKeys':
        return store.keys.count(this.#user(operation.user))
      case 'listUsers':
        return this.#list(store, operation)
      case 'createLogin':
        return store.logins
          .create(this.#text(operation.text), this.#user(operation.text), 3_600_000)
          .then(() => 'created')
      case 'findLogin':
        return store.logins.find(this.#text(operation.text)).then(login => login && this.#short(login.username))
      case 'revokeLogin':
        return store.logins.revoke(this.#text(operation.text))
      case 'putChallenge':
        return store.logins.putChallenge(this.#text(operation.text), this.#user(operation.user), 3_600_000)
      case 'takeChallenge':
        return store.logins.takeChallenge(this.#text(operation.text), this.#user(operation.user))
      case 'append':
        return this.#append(store, operation.items)
      case 'claim':
        return this.#claim(store, operation)
      case 'read':
        return this.#read(operation)
      case 'ack':
        return this.#withClaim(operation, (at, claim) =>
          at.inboxes.ack(claim, this.#number(claim.username, operation.seq)),
        )
      case 'release':
        return this.#withClaim(operation, (at, claim) => at.inboxes.release(claim))
      case 'reserve':
        return store.inboxes.reserve(this.#user(operation.user), operation.upTo)
      case 'publishKeys':
        return this.#publish(store, operation)
      case 'fetchKeys':
        return store.keys.fetch(this.#user(operation.user), this.#user(operation.requester), this.#text(operation.text))
    }
  }

  #store(node: Choice): Store {
    const store = this.#nodes[node % this.#nodes.length]
    if (!store) throw new Error('no node')
    return store
  }

  #user = (choice: Choice): Username => parseUsername(`${this.#run}-user${choice}`)
  #text = (choice: Choice): string => `${this.#run}-${choice}`
  #short = (username: string): string => username.slice(this.#run.length)

  #rule(rule: RuleChoice): InviteRule {
    if (rule === 'open' || rule === 'closed') return { kind: rule }
    return { kind: 'invite', inviteHash: rule === 'no invite' ? undefined : this.#text(rule.invite) }
  }

  async #findUser(store: Store, choice: Choice): Promise<unknown> {
    const user = await store.users.find(this.#user(choice))
    return user && { identity: user.identity, online: user.online, blocked: user.blocked }
  }

  async #findAccount(store: Store, choice: Choice): Promise<unknown> {
    const account = await store.admin.findAccount(this.#user(choice))
    if (!account) return account
    const { registeredAt: _registered, lastSeenAt: _seen, queue, ...rest } = account
    return { ...rest, queue: { ...queue, oldestAt: queue.oldestAt !== null } }
  }

  async #list(store: Store, { online, limit, cursor, prefix }: Play<'listUsers'>): Promise<unknown> {
    const page = await store.users.list({
      limit,
      prefix: prefix === undefined ? this.#run : this.#user(prefix),
      ...(online !== undefined && { online }),
      ...(cursor !== undefined && { cursor: this.#user(cursor) }),
    })
    const users = page.users.map(user => [this.#short(user.username), user.online])
    return { users, cursor: page.cursor && this.#short(page.cursor) }
  }

  async #append(store: Store, choices: readonly ItemChoice[]): Promise<unknown> {
    const items = choices.map(choice => this.#item(choice))
    const results = await store.inboxes.append(items)
    return results.map((result, index) => this.#result(result, items[index]?.to))
  }

  #item({ stream, from, to, id, isExchange, body }: ItemChoice): AppendItem {
    const kind = isExchange ? 'key_exchange' : 'message'
    const [sender, recipient] = [this.#user(from), this.#user(to)]
    return { stream: `${stream}`, from: sender, to: recipient, id: `${id}`, kind, body, ttlMs: 3_600_000 }
  }

  #result(result: AppendResult, to: Username | undefined): unknown {
    if (result.status !== 'stored' || !to) return result.status
    return [this.#rank(this.#seqs, to, result.seq), result.queued, result.repeated]
  }

  async #claim(store: Store, { user, token, node }: Play<'claim'>): Promise<unknown> {
    const connection = token === undefined ? `c${this.#claims.length}` : `t${token}`
    const outcome = await store.inboxes.claim(
      this.#user(user),
      token === undefined
        ? { kind: 'socket', connection, instance: `i${this.#claims.length}` }
        : { kind: 'http', connection, ttlMs: 3_600_000 },
    )
    if (outcome === 'conflict') return outcome
    const { claim, queued } = outcome
    this.#claims.push({ claim, node })
    return { queued, epoch: this.#rank(this.#epochs, claim.username, claim.epoch), owner: claim.owner }
  }

  #read({ after, maxItems, maxBytes, ...operation }: Play<'read'>): Promise<unknown> {
    return this.#withClaim(operation, async (store, claim) => {
      const above = this.#number(claim.username, after)
      const envelopes = await store.inboxes.read(claim, above, { maxItems, maxBytes })
      return envelopes === 'stale' ? envelopes : envelopes.map(envelope => this.#envelope(claim.username, envelope))
    })
  }

  /** Uses a claim on its own node seven times out of eight: on another node, a socket's claim is stale. */
  async #withClaim(
    { claim: choice, node }: { claim: Choice; node: Choice },
    use: (store: Store, claim: Claim) => Promise<unknown>,
  ): Promise<unknown> {
    const known = this.#claims[choice % Math.max(1, this.#claims.length)]
    if (!known) return 'no claim yet'
    return use(this.#store(choice % 8 === 0 ? node : known.node), known.claim)
  }

  #publish(store: Store, { user, counter, oneTime, kem }: Play<'publishKeys'>): Promise<unknown> {
    return store.keys.publish(this.#user(user), {
      ...(counter !== undefined && { bundle: { text: `bundle-${counter}`, counter } }),
      oneTimeKeys: oneTime.map(id => ({ id, key: `key-${id}` })),
      oneTimeKemKeys: kem.map(id => ({ id, key: `kem-${id}`, signature: 'signature' })),
    })
  }

  #envelope(username: Username, { seq, prev, sentAt, from, ...envelope }: Envelope): unknown {
    const prevRank = prev === 0 ? 'first' : this.#rank(this.#seqs, username, prev)
    return { ...envelope, from: this.#short(from), seq: this.#rank(this.#seqs, username, seq), prev: prevRank }
  }

  #notice(notice: Notice): unknown {
    if (!('username' in notice)) return notice
    const { username } = notice
    const common = { kind: notice.kind, username: this.#short(username) }
    switch (notice.kind) {
      case 'appended': {
        const envelope = notice.envelope && this.#envelope(username, notice.envelope)
        return { ...common, epoch: this.#rank(this.#epochs, username, notice.epoch), envelope }
      }
      case 'replaced':
        return { ...common, connection: notice.connection, instance: notice.instance }
      case 'keys-low':
        return { ...common, counts: notice.counts }
    }
  }

  #number(username: Username, choice: NumberChoice): number {
    if (choice === 'zero') return 0
    if (choice === 'largest') return Number.MAX_SAFE_INTEGER
    const given = this.#seqs.get(username) ?? []
    return given[choice.given % Math.max(1, given.length)] ?? 0
  }

  /** Returns the position of a number among those of the inbox. A new number must be higher than all previous ones. */
  #rank(numbers: Map<Username, number[]>, username: Username, number: number): number {
    const known = numbers.get(username) ?? []
    numbers.set(username, known)
    const place = known.indexOf(number)
    if (place >= 0) return place
    if (number <= (known.at(-1) ?? 0)) throw new Error(`${number} comes after ${known.at(-1)}`)
    return known.push(number) - 1
  }
}
