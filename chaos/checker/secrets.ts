import { isCloned } from '../history/copies.ts'
import { type AuditEvent, type AuditedStep, ofKind } from '../history/events.ts'
import type { Loss } from '../processes/redis-server.ts'
import { groupBy, type Invariant, type ReportInput } from './report-input.ts'

/** How long nodes may take to learn that a token ended, in ms. */
const revokedMs = 1_000

/** Invariants about one-time secrets, ended tokens and plaintext. */
export const secretInvariants: readonly Invariant[] = [
  {
    name: 'I12',
    title: 'a challenge and a one-time key are used once; a name always has the same key',
    check: input => [...checkOneTimeKeys(input), ...checkChallenges(input), ...checkNames(input)],
  },
  {
    name: 'I13',
    title: 'no send is accepted with a token that ended more than 1 s ago',
    check: ({ history }) => {
      const ended = new Map(ofKind(history, 'revoked').map(({ client, conn, tm }) => [`${client} ${conn}`, tm]))
      const accepted = new Set(
        ofKind(history, 'accepted').map(({ client, conn, frame }) => `${client} ${conn} ${frame}`),
      )
      // The time of sending counts: a late answer may have been given early.
      return ofKind(history, 'sent').flatMap(({ client, conn, frame, tm }) => {
        const late = tm - (ended.get(`${client} ${conn}`) ?? tm)
        if (late <= revokedMs || !accepted.has(`${client} ${conn} ${frame}`)) return []
        return [`${client} had ${frame} accepted, sent ${Math.round(late)} ms after its token ended`]
      })
    },
  },
  {
    name: 'I14',
    title: 'no plaintext is found outside clients, and no message key encrypts two messages',
    check: ({ history, leaks, copies }) => [
      ...leaks.map(place => `plaintext is in ${place}`),
      ...checkKeys(history, copies),
    ],
  },
]

type StepOf<Op extends AuditedStep['op']> = Extract<AuditEvent, { op: Op }>

const stepsOf = <Op extends AuditedStep['op']>(audit: readonly AuditEvent[], op: Op): StepOf<Op>[] =>
  audit.filter((step): step is StepOf<Op> => step.op === op)

/** Redis may hand out a key again after it lost the first use; the recipient refuses the second use. */
const wasUndone = (losses: readonly Loss[], { tm, end }: AuditEvent): boolean =>
  losses.some(({ from, to }) => end >= from.tm && tm <= to.tm)

function checkOneTimeKeys({ audit, losses }: ReportInput): string[] {
  const given = stepsOf(audit, 'fetch')
    .filter(step => !wasUndone(losses, step))
    .flatMap(({ user, requester, request, keys }) =>
      keys.map(key => ({ key: `${user} ${key}`, to: `${requester} ${request}` })),
    )
  return [...groupBy(given, ({ key }) => key)].flatMap(([key, uses]) => {
    const requests = [...new Set(uses.map(({ to }) => to))]
    return requests.length > 1 ? [`the one-time key ${key} was given to ${requests.join(' and ')}`] : []
  })
}

function checkChallenges({ audit, losses }: ReportInput): string[] {
  const taken = stepsOf(audit, 'challenge').filter(step => step.taken && !wasUndone(losses, step))
  return [...groupBy(taken, ({ nonce }) => nonce)].flatMap(([nonce, uses]) =>
    uses.length > 1 ? [`the challenge ${nonce} was taken ${uses.length} times`] : [],
  )
}

function checkNames({ audit, final }: ReportInput): string[] {
  const registered = stepsOf(audit, 'register')
    .filter(({ outcome }) => outcome === 'created' || outcome === 'same')
    .map(({ user, identity }) => ({ user, identity }))
  const held = final.inboxes.map(({ user, identity }) => ({ user, identity }))
  return [...groupBy([...registered, ...held], ({ user }) => user)].flatMap(([user, names]) => {
    const identities = new Set(names.map(({ identity }) => identity))
    return identities.size > 1 ? [`${user} has had ${identities.size} keys`] : []
  })
}

/** Two processes that use copies of one state at the same time may use a key twice, until one of them logs in again. */
function checkKeys(history: ReportInput['history'], copies: ReportInput['copies']): string[] {
  const uses = ofKind(history, 'sent').flatMap(({ place, digest, client, tm }) =>
    place !== undefined && digest !== undefined && !isCloned(copies, client, tm) ? [{ place, digest }] : [],
  )
  return [...groupBy(uses, ({ place }) => place)].flatMap(([place, of]) =>
    new Set(of.map(({ digest }) => digest)).size > 1 ? [`the message key ${place} was used twice`] : [],
  )
}
