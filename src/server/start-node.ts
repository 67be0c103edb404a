import type { Server, Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { defer } from '../util/deferred.ts'
import { buildApp } from './app.ts'
import { type Config, listenError } from './base/config.ts'
import type { Logger } from './base/logger.ts'
import { serveMetrics } from './metrics-server.ts'
import { createNode } from './node/create-node.ts'
import type { NodeContext } from './node/node-context.ts'
import { NodeLease } from './node/node-lease.ts'
import { openStore } from './open-store.ts'
import type { Notice, Store } from './store/store.ts'

/**
 * How long each step of a shutdown may wait for work in progress, ms. Senders repeat an unfinished append at another
 * node.
 */
const drainMs = 2_000

/** A running node. */
export type StartedNode = {
  /** `http://host:port`, with the port that the node listens on. */
  url: string
  port: number
  /** URL of the metrics; `null` where they are off. */
  metricsUrl: string | null
  /** Finishes appends, closes sockets with 4503 and releases claims, within 10 s. May be called more than once. */
  close(): Promise<void>
}

/** `store` replaces the store that the configuration names: nodes of one process can share a memory store. */
type StartOptions = { log: Logger; store?: Store }

/**
 * Starts a node. The caller ends it with `close`, which closes the store as well.
 * @throws {StoreUnavailableError} if Redis is out of reach. {ConfigError} if a
 * port cannot be opened. */
export async function startNode(config: Config, { log, store: given }: StartOptions): Promise<StartedNode> {
  const store = given ?? (await openStore(config, log))
  const draining = new AbortController()
  const node = createNode(config, store, log, draining.signal)
  const onDrain = () => drain(node, draining)
  store.onNotice(notice => handleNotice(node, notice, onDrain))
  const lease = new NodeLease(node, () => handleNotice(node, { kind: 'lease-lost' }, onDrain))
  const app = await buildApp(node, draining.signal)
  const closing = { app, sockets: socketsOf(app.server), node, lease, draining, closeMetrics: async () => {} }
  try {
    await lease.start()
    const { host } = config
    const url = await app.listen({ port: config.port, host }).catch(error => {
      throw listenError(error, 'PORT', { host, port: config.port })
    })
    // `URL` drops port 80.
    const port = Number(new URL(url).port || 80)
    const metrics = config.metricsPort === null ? null : await serveMetrics(node, host, config.metricsPort)
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

/** Never throws: no caller in the store could catch the error. */
function handleNotice(node: NodeContext, notice: Notice, onDrain: () => Promise<void>): void {
  try {
    if (notice.kind === 'drain') void onDrain()
    else if (notice.kind === 'revoked') node.connections.revoked(notice.tokenHash)
    else if (notice.kind === 'revocations-lost') void node.connections.closeAll('draining', 'log in again', 'storeLost')
    else if (notice.kind === 'unheard') node.metrics.unheard.inc({ why: notice.why })
    else node.notices.notify(notice)
    if (notice.kind === 'lease-lost') node.connections.closeOutdated()
  } catch (error) {
    node.log.error({ err: error, notice: notice.kind }, 'a notice failed')
  }
}

type Closing = {
  app: FastifyInstance
  sockets: ReadonlySet<Socket>
  node: NodeContext
  lease: NodeLease
  draining: AbortController
  closeMetrics(): Promise<void>
}

/**
 * Stops taking work, then waits for appends and closes the sockets. A node that an operator drains stays in this state
 * until its process ends.
 */
async function drain(node: NodeContext, draining: AbortController): Promise<void> {
  const { upgradeAdmission, loginAdmission, sends, connections, log } = node
  if (!draining.signal.aborted) log.info('draining: the node starts nothing new')
  draining.abort()
  upgradeAdmission.end()
  loginAdmission.end()
  await atMost(drainMs, sends.idle())
  await atMost(drainMs, connections.closeAll('draining', 'the node is shutting down'))
}

/** Drains the node, then closes the HTTP server, and the store last. */
async function close({ app, sockets, node, lease, draining, closeMetrics }: Closing): Promise<void> {
  await drain(node, draining)
  lease.stop()
  await closeHttp(app, sockets)
  await closeMetrics()
  await atMost(drainMs, node.store.close())
}

/** The open connections of a server. Node's `closeAllConnections` leaves out those that asked for an upgrade. */
function socketsOf(server: Server): ReadonlySet<Socket> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  return sockets
}

/**
 * Lets responses in progress finish, then destroys the remaining connections: idle peers, and peers that do not read.
 */
async function closeHttp(app: FastifyInstance, sockets: ReadonlySet<Socket>): Promise<void> {
  const closed = app.close()
  await atMost(drainMs, closed)
  for (const socket of sockets) socket.destroy()
  await closed
}

/** Waits for `work`, for at most `ms`. */
async function atMost(ms: number, work: Promise<unknown>): Promise<void> {
  const { promise, resolve } = defer<void>()
  const timer = setTimeout(resolve, ms)
  await Promise.race([work, promise])
  clearTimeout(timer)
}
