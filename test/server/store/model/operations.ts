import fc from 'fast-check'
import type { Writers } from '../../../../src/server/store/privacy.ts'

/** A small number that stands for a node, user, claim, …; each engine's player maps it to its own value. */
export type Choice = number
/** A sequence number of an inbox: 0, an assigned one, or one that is never reached. */
export type NumberChoice = 'zero' | 'largest' | { given: Choice }
export type RuleChoice = 'open' | 'closed' | 'no invite' | { invite: Choice }
export type ItemChoice = {
  stream: Choice
  from: Choice
  to: Choice
  id: Choice
  isExchange: boolean
  body: string
}

/** One call of the store of one node. */
export type Operation = { node: Choice } & (
  | { kind: 'register'; user: Choice; key: Choice; rule: RuleChoice }
  | { kind: 'addInvite'; invite: Choice }
  | {
      kind: 'findUser' | 'findAccount' | 'deleteUser' | 'countQueued' | 'countKeys'
      user: Choice
    }
  | { kind: 'block' | 'unblock' | 'releaseName' | 'listRules' | 'listLogins'; user: Choice }
  | { kind: 'setWriters'; user: Choice; writers: Writers }
  | { kind: 'setRule'; user: Choice; peer: Choice; rule: 'allowed' | 'blocked' | null }
  | { kind: 'revokeInvite'; invite: Choice }
  | {
      kind: 'listUsers'
      online: boolean | undefined
      limit: number
      cursor: Choice | undefined
      prefix: Choice | undefined
    }
  | { kind: 'takeChallenge' | 'putChallenge'; text: Choice; user: Choice }
  /** Tokens are random in reality, so each token belongs to one user: the one with the same number. */
  | { kind: 'createLogin' | 'findLogin' | 'revokeLogin'; text: Choice }
  | { kind: 'append'; items: ItemChoice[] }
  | { kind: 'claim'; user: Choice; token: Choice | undefined }
  | { kind: 'read'; claim: Choice; after: NumberChoice; maxItems: number; maxBytes: number }
  | { kind: 'ack'; claim: Choice; seq: NumberChoice }
  | { kind: 'release'; claim: Choice }
  | { kind: 'reserve'; user: Choice; upTo: number }
  | { kind: 'publishKeys'; user: Choice; counter: number | undefined; oneTime: number[]; kem: number[] }
  | { kind: 'fetchKeys'; user: Choice; requester: Choice; text: Choice }
)

const node = fc.nat(1)
const user = fc.nat(3)
const text = fc.nat(3)
const claim = fc.nat(30)
const bodies = ['a', 'bb', 'x'.repeat(15), 'y'.repeat(30), 'z'.repeat(41)]

const number: fc.Arbitrary<NumberChoice> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ given: fc.nat(30) }) },
  { weight: 2, arbitrary: fc.constant('zero' as const) },
  { weight: 1, arbitrary: fc.constant('largest' as const) },
)
const rule: fc.Arbitrary<RuleChoice> = fc.oneof(
  { weight: 6, arbitrary: fc.constant('open' as const) },
  { weight: 1, arbitrary: fc.constantFrom('closed' as const, 'no invite' as const) },
  { weight: 3, arbitrary: fc.record({ invite: fc.nat(1) }) },
)
const item: fc.Arbitrary<ItemChoice> = fc.record({
  stream: fc.nat(1),
  from: user,
  to: user,
  id: fc.nat(5),
  isExchange: fc.boolean(),
  body: fc.constantFrom(...bodies),
})
const ids = fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 5 })
const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined })
const is = <K extends string>(...kinds: K[]) => fc.constantFrom(...kinds)

/** Prefers operations that change an inbox, so that short sequences reach its corner cases. */
const operationWith = (...writers: Writers[]): fc.Arbitrary<Operation> =>
  fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({ kind: is('append'), node, items: fc.array(item, { minLength: 1, maxLength: 6 }) }),
    },
    { weight: 6, arbitrary: fc.record({ kind: is('claim'), node, user, token: optional(fc.nat(1)) }) },
    {
      weight: 6,
      arbitrary: fc.record({
        kind: is('read'),
        node,
        claim,
        after: number,
        maxItems: fc.integer({ min: 1, max: 5 }),
        maxBytes: fc.nat(80),
      }),
    },
    { weight: 6, arbitrary: fc.record({ kind: is('ack'), node, claim, seq: number }) },
    { weight: 3, arbitrary: fc.record({ kind: is('release'), node, claim }) },
    { weight: 5, arbitrary: fc.record({ kind: is('register'), node, user, key: fc.nat(1), rule }) },
    { weight: 1, arbitrary: fc.record({ kind: is('addInvite'), node, invite: fc.nat(1) }) },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: is('findUser', 'findAccount', 'deleteUser', 'countQueued', 'countKeys'),
        node,
        user,
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ kind: is('block', 'unblock', 'releaseName', 'listRules', 'listLogins'), node, user }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ kind: is('setWriters'), node, user, writers: is(...writers) }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: is('setRule'),
        node,
        user,
        peer: user,
        rule: fc.constantFrom('allowed' as const, 'blocked' as const, null),
      }),
    },
    { weight: 1, arbitrary: fc.record({ kind: is('revokeInvite'), node, invite: fc.nat(1) }) },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: is('listUsers'),
        node,
        online: optional(fc.boolean()),
        limit: fc.integer({ min: 1, max: 5 }),
        cursor: optional(user),
        prefix: optional(user),
      }),
    },
    { weight: 3, arbitrary: fc.record({ kind: is('takeChallenge', 'putChallenge'), node, text, user }) },
    { weight: 2, arbitrary: fc.record({ kind: is('createLogin', 'findLogin', 'revokeLogin'), node, text }) },
    { weight: 1, arbitrary: fc.record({ kind: is('reserve'), node, user, upTo: fc.nat(9) }) },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: is('publishKeys'),
        node,
        user,
        counter: optional(fc.integer({ min: 1, max: 4 })),
        oneTime: ids,
        kem: ids,
      }),
    },
    { weight: 3, arbitrary: fc.record({ kind: is('fetchKeys'), node, user, requester: user, text }) },
  )

/** In most runs some users register first; otherwise most operations have no effect. */
const sequences = (operation: fc.Arbitrary<Operation>): fc.Arbitrary<Operation[]> =>
  fc
    .tuple(fc.nat(4), fc.array(operation, { maxLength: 60, size: 'max' }))
    .map(([users, rest]) => [...registrations.slice(0, users), ...rest])

const registrations: Operation[] = [0, 1, 2, 3].map(user => ({ kind: 'register', node: 0, user, key: 0, rule: 'open' }))

/** For any number of nodes. */
export const operations = sequences(operationWith('anyone', 'allowlist'))
/** For one node only: other nodes learn within a second, not at once, that they must record a user's contacts. */
export const operationsWithContacts = sequences(operationWith('anyone', 'allowlist', 'contacts'))
