import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import { errors } from '../../protocol/errors.ts'

/** What a node counts. One registry per node, so that two nodes of one process do not share numbers. */
export type Metrics = ReturnType<typeof openMetrics>

export function openMetrics() {
  const registry = new Registry()
  const registers = [registry]
  const counter = (name: string, help: string) => new Counter({ name: `aimessage_${name}_total`, help, registers })
  const accepted = counter('accepted', 'Sends that were stored or known')
  const pushed = counter('pushed', 'Envelopes pushed to listening sockets')
  const inboxReads = counter('inbox_reads', 'Reads of an inbox by a delivery loop; with hints alone there are few')
  const catchUps = new Counter({
    name: 'aimessage_catch_ups_total',
    help: 'Looks at an inbox because a hint had a gap before it or carried nothing, the subscription began anew, or it was time',
    labelNames: ['reason'],
    registers,
  })
  const unheard = new Counter({
    name: 'aimessage_hints_unheard_total',
    help: 'Hints to another node that were lost: it has no subscriber, or the queue to it is full',
    labelNames: ['why'],
    registers,
  })
  const leasesLost = new Counter({
    name: 'aimessage_leases_lost_total',
    help: 'Times this node gave its claims up: the lease ran out, it lapsed unseen, or the process stood still',
    labelNames: ['why'],
    registers,
  })
  const refused = new Counter({
    name: 'aimessage_errors_total',
    help: 'Errors answered',
    labelNames: ['code'],
    registers,
  })
  const closed = new Counter({
    name: 'aimessage_closed_total',
    help: 'Sockets closed by the node',
    labelNames: ['reason'],
    registers,
  })
  const putOff = counter('upgrades_put_off', 'Upgrades that were told to come again later')
  const upgradesWaiting = new Gauge({
    name: 'aimessage_upgrades_waiting',
    help: 'Upgrades that wait to be let in',
    registers,
  })
  const loginsWaiting = new Gauge({
    name: 'aimessage_logins_waiting',
    help: 'Logins that wait for their turn',
    registers,
  })
  const connections = new Gauge({ name: 'aimessage_connections', help: 'Open sockets', registers })
  const listening = new Gauge({ name: 'aimessage_listening', help: 'Inboxes that are listened to here', registers })
  const batchItems = new Histogram({
    name: 'aimessage_append_items',
    help: 'Sends of one append',
    buckets: [1, 2, 5, 10, 20, 50, 100],
    registers,
  })
  for (const code of Object.keys(errors)) refused.inc({ code }, 0)
  for (const reason of ['gap', 'bare', 'resumed', 'timer']) catchUps.inc({ reason }, 0)
  for (const why of ['no subscriber', 'queue full']) unheard.inc({ why }, 0)
  for (const why of ['ran out', 'lapsed', 'stood still']) leasesLost.inc({ why }, 0)
  return {
    registry,
    accepted,
    pushed,
    inboxReads,
    catchUps,
    unheard,
    leasesLost,
    refused,
    closed,
    putOff,
    upgradesWaiting,
    loginsWaiting,
    connections,
    listening,
    batchItems,
  }
}

/** Event-loop lag, memory and the like: of the process, so only where one node is the process. */
export const collectProcessMetrics = (metrics: Metrics): void => collectDefaultMetrics({ register: metrics.registry })
