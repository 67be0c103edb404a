import { type EventOf, ofKind } from '../history/events.ts'
import type { Loss } from '../processes/redis-server.ts'
import { groupBy, type Invariant, isLost, type ReportInput } from './report-input.ts'

/** Invariants about claims on inboxes. */
export const ownershipInvariants: readonly Invariant[] = [
  {
    name: 'I10',
    title: 'an older claim has no effect after a newer one is granted; its late pushes are repeated',
    check: input => [...checkEffects(input), ...checkStalePushes(input)],
  },
  {
    name: 'I11',
    title: 'at the end each user has one listening connection, and Redis agrees',
    check: ({ history, final }) => {
      const end = Math.min(...final.inboxes.map(({ tm }) => tm))
      const listening = listeningAtEnd(history.filter(({ tm }) => tm < end))
      return final.inboxes.flatMap(({ user, connEpoch, owner, node }) => {
        const epochs = listening.get(user) ?? []
        if (epochs.length !== 1) return [`${user} listens on ${epochs.length} connections`]
        if (epochs[0] !== connEpoch || !owner.startsWith('s')) {
          return [`${user} listens under ${epochs[0]}, and Redis has ${connEpoch} ${owner}`]
        }
        return final.liveNodes.includes(node) ? [] : [`${user} listens at ${node}, which is dead`]
      })
    },
  },
]

/** Overlapping calls may take effect in either order; a call that began after a newer claim was granted may not. */
function checkEffects({ audit, losses }: ReportInput): string[] {
  const claims = groupBy(
    audit.filter(step => step.op === 'claim'),
    ({ user }) => user,
  )
  return audit.flatMap(step => {
    const isEffect = (step.op === 'ack' && step.outcome === 'acked') || (step.op === 'read' && step.outcome === 'read')
    if (!isEffect) return []
    const newer = (claims.get(step.user) ?? []).find(
      claim => claim.connEpoch > step.connEpoch && claim.end < step.tm && !wasUndone(losses, claim.connEpoch, claim.tm),
    )
    return newer
      ? [`${step.user}: ${step.op} of ${step.connEpoch} took effect after ${newer.connEpoch} was granted`]
      : []
  })
}

const wasUndone = (losses: readonly Loss[], number: number, tm: number): boolean =>
  isLost(losses, number) || losses.some(({ from, to }) => tm >= from.tm && tm <= to.tm)

function checkStalePushes({ history, losses }: ReportInput): string[] {
  return [...groupBy(ofKind(history, 'listening', 'push'), ({ client }) => client)].flatMap(([client, events]) => {
    const newest = newestEpochs(events)
    const pushed = groupBy(
      events.filter(event => event.ev === 'push'),
      ({ seq }) => String(seq),
    )
    return events.flatMap((event, at) => {
      if (event.ev !== 'push' || event.connEpoch >= (newest[at] ?? 0) || isLost(losses, event.seq)) return []
      const others = pushed.get(String(event.seq))?.filter(({ connEpoch }) => connEpoch !== event.connEpoch) ?? []
      return others.length > 0 ? [] : [`${client} got ${event.seq} from ${event.connEpoch} alone, which was replaced`]
    })
  })
}

/** Returns, for each event, the highest epoch under which the agent listens. */
function newestEpochs(events: readonly (EventOf<'listening'> | EventOf<'push'>)[]): number[] {
  let newest = 0
  return events.map(({ ev, connEpoch }) => {
    if (ev === 'listening') newest = Math.max(newest, connEpoch)
    return newest
  })
}

/** Returns the epochs of listening connections. Connections of a killed process have ended. */
function listeningAtEnd(history: ReportInput['history']): Map<string, number[]> {
  const open = new Map<string, Map<string, { inc: number; connEpoch: number }>>()
  for (const event of ofKind(history, 'listening', 'close')) {
    const connections = open.get(event.client) ?? new Map()
    open.set(event.client, connections)
    if (event.ev === 'close') connections.delete(event.conn)
    else connections.set(event.conn, { inc: event.inc, connEpoch: event.connEpoch })
  }
  const lastInc = new Map(history.map(({ client, inc }) => [client, inc]))
  return new Map(
    [...open].map(([client, connections]) => {
      const living = [...connections.values()].filter(({ inc }) => inc === lastInc.get(client))
      return [client, living.map(({ connEpoch }) => connEpoch)]
    }),
  )
}
