import type { Store } from '../../src/server/store/store.ts'
import { withFaults } from '../../tools/servers/running-node.ts'
import { monotonicMs } from '../clock.ts'
import type { AuditEvent, AuditedStep } from '../history/events.ts'

type Note = (event: AuditEvent) => void
/**
 * A store that records its node's calls on inboxes, names and keys with their outcomes. A failed call is not recorded:
 * whether it took effect is unknown.
 */
export function auditStore(store: Store, note: Note): Store {
  const watch = async <Result>(work: Promise<Result>, steps: (result: Result) => AuditedStep[]): Promise<Result> => {
    const tm = monotonicMs()
    const result = await work
    const end = monotonicMs()
    for (const step of steps(result)) note({ node: store.nodeId, tm, end, ...step })
    return result
  }
  const { inboxes, users, keys, logins } = store
  return withFaults(store, {
    inboxes: {
      append: items =>
        watch(inboxes.append(items), results =>
          results.flatMap((result, at): AuditedStep[] => {
            const item = items[at]
            if (result.status !== 'stored' || !item) return []
            const { to, from, id: frame } = item
            return [{ op: 'append', to, from, frame, seq: result.seq, repeated: result.repeated }]
          }),
        ),
      claim: (user, owner) =>
        watch(inboxes.claim(user, owner), result =>
          result === 'conflict' ? [] : [{ op: 'claim', user, connEpoch: result.claim.epoch }],
        ),
      ack: (claim, seq) =>
        watch(inboxes.ack(claim, seq), outcome => [
          { op: 'ack', user: claim.username, connEpoch: claim.epoch, seq, outcome },
        ]),
      read: (claim, after, limit) =>
        watch(inboxes.read(claim, after, limit), result => [
          {
            op: 'read',
            user: claim.username,
            connEpoch: claim.epoch,
            outcome: result === 'stale' ? 'stale' : 'read',
          },
        ]),
      release: claim =>
        watch(inboxes.release(claim), () => [{ op: 'release', user: claim.username, connEpoch: claim.epoch }]),
    },
    users: {
      register: (user, identity, invite) =>
        watch(users.register(user, identity, invite), outcome => [{ op: 'register', user, identity, outcome }]),
    },
    keys: {
      fetch: (user, requester, request) =>
        watch(keys.fetch(user, requester, request), result => {
          if (typeof result === 'string') return []
          const taken = [
            result.oneTimeKey && `x${result.oneTimeKey.id}`,
            result.oneTimeKemKey && `k${result.oneTimeKemKey.id}`,
          ]
          return [{ op: 'fetch', user, requester, request, keys: taken.filter(key => key !== undefined) }]
        }),
    },
    logins: {
      takeChallenge: (nonce, user) =>
        watch(logins.takeChallenge(nonce, user), taken => [{ op: 'challenge', nonce, taken }]),
    },
  })
}
