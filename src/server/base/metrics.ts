import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import { errors } from '../../protocol/errors.ts'
import { version } from './version.ts'

/** The metrics of a node. Each node has its own registry: two nodes of one process must not share counters. */
export type Metrics = ReturnType<typeof openMetrics>

export function openMetrics() {
  const registry = new Registry()
  const registers = [registry]
  const counter = (name: string, help: string) => new Counter({ name: `aimessage_${name}_total`, help, registers })
  const accepted = counter('accepted', 'Sends that were stored, repeated ones included')
  const pushed = counter('pushed', 'Envelopes pushed to listening sockets')
  const inboxReads = counter('inbox_reads', 'Reads of an inbox by its delivery; few while notices carry the envelopes')
  const catchUps = new Counter({
    name: 'aimessage_catch_ups_total',
    help: 'Reads of an inbox because a notice did not suffice: a gap, no envelope, a new subscription, or the periodic check',
    labelNames: ['reason'],
    registers,
  })
  const unheard = new Counter({
    name: 'aimessage_hints_unheard_total',
    help: 'Lost notices to another node: it has no subscriber, or the queue to it is full',
    labelNames: ['why'],
    registers,
  })
  const leasesLost = new Counter({
    name: 'aimessage_leases_lost_total',
    help: 'Times this node gave up its claims: its lease ran out or lapsed, or its process stalled',
    labelNames: ['why'],
    registers,
  })
  const refused = new Counter({
    name: 'aimessage_errors_total',
    help: 'Errors sent to clients',
    labelNames: ['code'],
    registers,
  })
  const closed = new Counter({
    name: 'aimessage_closed_total',
    help: 'Sockets closed by the node',
    labelNames: ['reason'],
    registers,
  })
  const putOff = counter('upgrades_put_off', 'Upgrades that were refused with a time for the retry')
  const upgradesWaiting = new Gauge({
    name: 'aimessage_upgrades_waiting',
    help: 'Upgrades that wait for admission',
    registers,
  })
  const loginsWaiting = new Gauge({
    name: 'aimessage_logins_waiting',
    help: 'Logins that wait for admission',
    registers,
  })
  const connections = new Gauge({ name: 'aimessage_connections', help: 'Open sockets', registers })
  const listening = new Gauge({ name: 'aimessage_listening', help: 'Inboxes with a listener on this node', registers })
  const batchItems = new Histogram({
    name: 'aimessage_append_items',
    help: 'Sends of one append',
    buckets: [1, 2, 5, 10, 20, 50, 100],
    registers,
  })
  const storageUsed = new Gauge({ name: 'aimessage_storage_used_bytes', help: 'Memory that Redis uses', registers })
  const storageMax = new Gauge({
    name: 'aimessage_storage_max_bytes',
    help: 'Memory that Redis may use: its maxmemory, or all memory of its machine',
    registers,
  })
  const storageLevel = new Gauge({
    name: 'aimessage_storage_level',
    help: 'State of the store: 0 ok, 1 scarce (strangers wait), 2 full (no new mail)',
    registers,
  })
  const storageRefused = new Counter({
    name: 'aimessage_storage_refused_total',
    help: 'Requests that wait for memory: over the budget of the sender or of its address, or a stranger',
    labelNames: ['why'],
    registers,
  })
  const ready = new Gauge({ name: 'aimessage_ready', help: '1 if this node accepts work', registers })
  const redisUp = new Gauge({ name: 'aimessage_redis_up', help: '1 if the store can be used', registers })
  const buildInfo = new Gauge({
    name: 'aimessage_build_info',
    help: '1, with the versions of this node',
    labelNames: ['version', 'node'],
    registers,
  })
  buildInfo.set({ version: version(), node: process.version }, 1)
  for (const why of ['sender', 'address', 'share', 'stranger']) storageRefused.inc({ why }, 0)
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
    storageUsed,
    storageMax,
    storageLevel,
    storageRefused,
    ready,
    redisUp,
  }
}

/** Adds event-loop lag, memory and more of the process. Only for a process that runs a single node. */
export const collectProcessMetrics = (metrics: Metrics): void => collectDefaultMetrics({ register: metrics.registry })
