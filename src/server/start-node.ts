import type { Server, Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { limits } from '../protocol/limits.ts'
import { defer } from '../util/deferred.ts'
import { buildApp } from './app.ts'
import { type Clock, systemClock } from './base/clock.ts'
import type { Config } from './base/config.ts'
import type { Logger } from './base/logger.ts'
import { openMetrics } from './base/metrics.ts'
import type { RelayNode } from './base/node-context.ts'
import { Releases } from './delivery/claim-releases.ts'
import { Listeners } from './delivery/notice-router.ts'
import { SendBatch } from './delivery/send-batch.ts'
import { Round } from './delivery/shared-delay.ts'
import { Rota } from './delivery/shared-interval.ts'
import { serveMetrics } from './metrics-server.ts'
import { Presence } from './node-lease.ts'
import { openStore } from './open-store.ts'
import { Admission } from './rate-limits/admission.ts'
import { Rates } from './rate-limits/local-rates.ts'
import { Allowances } from './rate-limits/user-rates.ts'
import { Connections } from './socket/connection-registry.ts'
import type { Notice, Store } from './store/store.ts'

/** How long appends under way may take while the node goes, ms; then their senders repeat them elsewhere. */
const drainMs = 2_000

/** Acknowledgements of so many ms share one call of the store. */
const ackDelayMs = 5

/** A running node. */
export type StartedNode = {
  /** `http://host:port`, as it listens. */
  url: string
  port: number
  /** Where metrics are, if they are on. */
  metricsUrl: string | null
  /** Finishes appends, closes sockets with 4503, gives claims up; within 10 s. May be called again. */
  close(): Promise<void>
}

/** `store` is given where several nodes of one process share what they know; else the configuration names it. */
export type StartOptions = { log: Logger; store?: Store }

/**
 * Starts a node; the caller ends it with `close`, which closes the store, too.
 * @throws {StoreUnavailableError} when Redis is out of reach; the port may be taken (`EADDRINUSE`).
 */
export async function startNode(config: Config, { log, store: given }: StartOptions): Promise<StartedNode> {
  const store = given ?? (await openStore(config, log))
  const drain = new AbortController()
  const node = createNode(config, store, log, drain.signal)
  const goAway = () => giveUp(node, drain)
  store.onNotice(notice => heard(node, notice, goAway))
  const presence = new Presence(node, () => heard(node, { kind: 'lease-lost' }, goAway))
  const app = await buildApp(node, drain.signal)
  const closing = { app, sockets: socketsOf(app.server), node, presence, drain, closeMetrics: async () => {} }
  try {
    await presence.start()
    const url = await app.listen({ port: config.port, host: config.host })
    const port = Number(new URL(url).port)
    const metrics = config.metricsPort === null ? null : await serveMetrics(node, config.host, config.metricsPort)
    if (metrics) closing.closeMetrics = metrics.close
    log.info({ url, port, domain: config.domain, store: store.kind, node: store.nodeId }, 'listening')
    let closed: Promise<void> | undefined
    return {
      url,
      port,
      metricsUrl: metrics?.url ?? null,
      close: () => {
        closed ??= close(closing)
        return closed
      },
    }
  } catch (error) {
    await close(closing)
    throw error
  }
}

/** What belongs to a node, put together. */
export function createNode(
  config: Config,
  store: Store,
  log: Logger,
  drain: AbortSignal,
  clock: Clock = systemClock,
): RelayNode {
  const metrics = openMetrics()
  const admission = {
    perSecond: config.upgradesPerS,
    burst: limits.upgradesBurst,
    maxWaitMs: limits.maxUpgradeWaitMs,
    maxRetryS: limits.maxUpgradeRetryS,
  }
  return {
    config,
    store,
    log,
    metrics,
    clock,
    sends: new SendBatch(
      store.inboxes,
      error => log.error({ err: error }, 'an append failed'),
      items => metrics.batchItems.observe(items),
    ),
    acks: new Round(ackDelayMs, clock),
    checks: new Rota(limits.deliveryCheckMs, clock),
    arrivals: new Rates({ perSecond: limits.arrivalsPerS, burst: limits.arrivalsBurst }, clock),
    upgrades: new Admission(admission, clock),
    logins: new Admission(admission, clock),
    allowances: new Allowances(config, store.buckets, clock),
    operators: new Rates({ perSecond: limits.operatorCallsPerS, burst: limits.operatorCallsBurst }, clock),
    listeners: new Listeners(),
    connections: new Connections(config),
    releases: new Releases(store.inboxes, log),
    random: Math.random,
    isDraining: () => drain.aborted,
  }
}

/** Never throws: the store calls it from where nobody could catch. */
function heard(node: RelayNode, notice: Notice, goAway: () => Promise<void>): void {
  try {
    if (notice.kind === 'drain') void goAway()
    else if (notice.kind === 'revoked') node.connections.revoked(notice.tokenHash)
    else if (notice.kind === 'unheard') node.metrics.unheard.inc({ why: notice.why })
    else node.listeners.notify(notice)
    if (notice.kind === 'lease-lost') node.connections.closeOutdated()
  } catch (error) {
    node.log.error({ err: error, notice: notice.kind }, 'a notice failed')
  }
}

type Closing = {
  app: FastifyInstance
  sockets: ReadonlySet<Socket>
  node: RelayNode
  presence: Presence
  drain: AbortController
  closeMetrics(): Promise<void>
}

/** Not ready any more; then what is under way, and the sockets. A node that was told to drain stays so until its process is ended. */
async function giveUp({ upgrades, logins, sends, connections, log }: RelayNode, drain: AbortController): Promise<void> {
  if (!drain.signal.aborted) log.info('draining: nothing new is begun')
  drain.abort()
  upgrades.end()
  logins.end()
  await atMost(drainMs, sends.idle())
  await atMost(drainMs, connections.closeAll('draining', 'the node is shutting down'))
}

/** Gives up; then the server, and the store last. */
async function close({ app, sockets, node, presence, drain, closeMetrics }: Closing): Promise<void> {
  await giveUp(node, drain)
  presence.stop()
  await closeHttp(app, sockets)
  await closeMetrics()
  await atMost(drainMs, node.store.close())
}

/** The open connections of a server, also those that asked for an upgrade: Node's `closeAllConnections` forgets about them. */
function socketsOf(server: Server): ReadonlySet<Socket> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  return sockets
}

/** Answers under way are finished; a connection that says nothing, or never took its answer, holds nobody up. */
async function closeHttp(app: FastifyInstance, sockets: ReadonlySet<Socket>): Promise<void> {
  const closed = app.close()
  await atMost(drainMs, closed)
  for (const socket of sockets) socket.destroy()
  await closed
}

/** The promise, or the end of so many ms. */
async function atMost(ms: number, work: Promise<unknown>): Promise<void> {
  const { promise, resolve } = defer<void>()
  const timer = setTimeout(resolve, ms)
  await Promise.race([work, promise])
  clearTimeout(timer)
}
