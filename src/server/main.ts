import type { FastifyInstance } from 'fastify'
import { defer } from '../util/deferred.ts'
import { buildApp } from './app.ts'
import { Arrivals } from './arrivals.ts'
import { systemClock } from './clock.ts'
import type { Config } from './config.ts'
import { Connections } from './connections.ts'
import { Listeners } from './listeners.ts'
import type { Logger } from './logger.ts'
import { openMetrics } from './metrics.ts'
import { serveMetrics } from './metrics-server.ts'
import { openStore } from './open-store.ts'
import { Presence } from './presence.ts'
import type { RelayNode } from './relay-node.ts'
import { Releases } from './releases.ts'
import { SendBatch } from './send-batch.ts'
import type { Notice, Store } from './store/store.ts'

/** How long appends under way may take while the node goes, ms; then their senders repeat them elsewhere. */
const drainMs = 3_000

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
  store.onNotice(notice => heard(node, notice))
  const presence = new Presence(node)
  const app = await buildApp(node, drain.signal)
  const closing = { app, node, presence, drain, closeMetrics: async () => {} }
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
export function createNode(config: Config, store: Store, log: Logger, drain: AbortSignal): RelayNode {
  const metrics = openMetrics()
  return {
    config,
    store,
    log,
    metrics,
    clock: systemClock,
    sends: new SendBatch(
      store,
      error => log.error({ err: error }, 'an append failed'),
      items => metrics.batchItems.observe(items),
    ),
    arrivals: new Arrivals(systemClock),
    listeners: new Listeners(),
    connections: new Connections(),
    releases: new Releases(store, log),
    random: Math.random,
    isDraining: () => drain.aborted,
  }
}

/** Never throws: the store calls it from where nobody could catch. */
function heard(node: RelayNode, notice: Notice): void {
  try {
    if (notice.kind === 'revoked') node.connections.revoked(notice.tokenHash)
    else node.listeners.notify(notice)
  } catch (error) {
    node.log.error({ err: error, notice: notice.kind }, 'a notice failed')
  }
}

type Closing = {
  app: FastifyInstance
  node: RelayNode
  presence: Presence
  drain: AbortController
  closeMetrics(): Promise<void>
}

/** Not ready any more; then what is under way, the sockets, the server, and the store last. */
async function close({ app, node, presence, drain, closeMetrics }: Closing): Promise<void> {
  drain.abort()
  await atMost(drainMs, node.sends.idle())
  await atMost(drainMs, node.connections.closeAll('draining', 'the node is shutting down'))
  presence.stop()
  await app.close()
  await closeMetrics()
  await node.store.close()
}

/** The promise, or the end of so many ms. */
async function atMost(ms: number, work: Promise<void>): Promise<void> {
  const { promise, resolve } = defer<void>()
  const timer = setTimeout(resolve, ms)
  await Promise.race([work, promise])
  clearTimeout(timer)
}
