import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import { errors } from '../protocol/errors.ts'

/** What a node counts. One registry per node, so that two nodes of one process do not share numbers. */
export type Metrics = ReturnType<typeof openMetrics>

export function openMetrics() {
  const registry = new Registry()
  const registers = [registry]
  const counter = (name: string, help: string) => new Counter({ name: `aimessage_${name}_total`, help, registers })
  const accepted = counter('accepted', 'Sends that were stored or known')
  const pushed = counter('pushed', 'Envelopes pushed to listening sockets')
  const inboxReads = counter('inbox_reads', 'Reads of an inbox by a delivery loop; with hints alone there are few')
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
  const connections = new Gauge({ name: 'aimessage_connections', help: 'Open sockets', registers })
  const listening = new Gauge({ name: 'aimessage_listening', help: 'Inboxes that are listened to here', registers })
  const batchItems = new Histogram({
    name: 'aimessage_append_items',
    help: 'Sends of one append',
    buckets: [1, 2, 5, 10, 20, 50, 100],
    registers,
  })
  for (const code of Object.keys(errors)) refused.inc({ code }, 0)
  return { registry, accepted, pushed, inboxReads, refused, closed, connections, listening, batchItems }
}

/** Event-loop lag, memory and the like: of the process, so only where one node is the process. */
export const collectProcessMetrics = (metrics: Metrics): void => collectDefaultMetrics({ register: metrics.registry })
