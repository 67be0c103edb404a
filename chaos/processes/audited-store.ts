import type { Store } from '../../src/server/store/store.ts'
import { monotonicMs } from '../clock.ts'
import type { AuditEvent, AuditedStep } from '../history/events.ts'

type Note = (event: AuditEvent) => void
type Audited = Pick<Store, 'append' | 'claim' | 'ack' | 'read' | 'release' | 'register' | 'fetchKeys' | 'takeChallenge'>

/** A store that notes what its node does to inboxes, names and keys, and with which outcome. A call that fails is not noted: whether it ran is not known. */
export function auditStore(store: Store, note: Note): Store {
  const audited = auditedMethods(store, note)
  return new Proxy(store, {
    get: (target, name) => {
      const value = Reflect.get(audited, name) ?? Reflect.get(target, name)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

function auditedMethods(store: Store, note: Note): Audited {
  const watch = async <Result>(work: Promise<Result>, steps: (result: Result) => AuditedStep[]): Promise<Result> => {
    const tm = monotonicMs()
    const result = await work
    const end = monotonicMs()
    for (const step of steps(result)) note({ node: store.nodeId, tm, end, ...step })
    return result
  }
  return {
    append: items =>
      watch(store.append(items), results =>
        results.flatMap((result, at): AuditedStep[] => {
          const item = items[at]
          if (result.status !== 'stored' || !item) return []
          const { to, from, id: frame } = item
          return [{ op: 'append', to, from, frame, seq: result.seq, repeated: result.repeated }]
        }),
      ),
    claim: (user, owner) =>
      watch(store.claim(user, owner), result =>
        result === 'conflict' ? [] : [{ op: 'claim', user, connEpoch: result.claim.epoch }],
      ),
    ack: (claim, seq) =>
      watch(store.ack(claim, seq), outcome => [
        { op: 'ack', user: claim.username, connEpoch: claim.epoch, seq, outcome },
      ]),
    read: (claim, after, limit) =>
      watch(store.read(claim, after, limit), result => [
        {
          op: 'read',
          user: claim.username,
          connEpoch: claim.epoch,
          outcome: result === 'stale' ? 'stale' : 'read',
        },
      ]),
    release: claim =>
      watch(store.release(claim), () => [{ op: 'release', user: claim.username, connEpoch: claim.epoch }]),
    register: (user, identity, invite) =>
      watch(store.register(user, identity, invite), outcome => [{ op: 'register', user, identity, outcome }]),
    fetchKeys: (user, requester, request) =>
      watch(store.fetchKeys(user, requester, request), result => {
        if (typeof result === 'string') return []
        const keys = [
          result.oneTimeKey && `x${result.oneTimeKey.id}`,
          result.oneTimeKemKey && `k${result.oneTimeKemKey.id}`,
        ]
        return [{ op: 'fetch', user, requester, request, keys: keys.filter(key => key !== undefined) }]
      }),
    takeChallenge: (nonce, user) =>
      watch(store.takeChallenge(nonce, user), taken => [{ op: 'challenge', nonce, taken }]),
  }
}
