import Fastify from 'fastify'
import { listenError } from './base/config.ts'
import { collectProcessMetrics } from './base/metrics.ts'
import { isAllowedHost } from './base/own-host.ts'
import type { NodeContext } from './node/node-context.ts'

/** Serves Prometheus metrics on a port of their own, so that the proxy for clients cannot expose them. */
export async function serveMetrics(
  node: NodeContext,
  host: string,
  port: number,
): Promise<{ url: string; close(): Promise<void> }> {
  collectProcessMetrics(node.metrics)
  const { registry, upgradesWaiting, loginsWaiting, connections, listening } = node.metrics
  const { ready, redisUp, storageUsed, storageMax, storageLevel } = node.metrics
  const app = Fastify({ logger: false, requestTimeout: 10_000, forceCloseConnections: true })
  // A page whose name was rebound to 127.0.0.1 must not read the metrics.
  app.addHook('onRequest', async ({ headers }, reply) => {
    if (isAllowedHost(node.config, headers.host) && headers.origin === undefined) return
    await reply.code(403).send('forbidden\n')
  })
  app.get('/metrics', async (_request, reply) => {
    upgradesWaiting.set(node.upgradeAdmission.size)
    loginsWaiting.set(node.loginAdmission.size)
    connections.set(node.connections.size)
    listening.set(node.notices.size)
    const isUp = node.store.isReady()
    redisUp.set(Number(isUp))
    ready.set(Number(isUp && !node.isDraining()))
    const { level, usedBytes, maxBytes } = node.store.storage.use()
    storageUsed.set(usedBytes)
    storageMax.set(maxBytes)
    storageLevel.set(['ok', 'scarce', 'full'].indexOf(level))
    return reply.type(registry.contentType).send(await registry.metrics())
  })
  const base = await app.listen({ port, host }).catch(error => {
    throw listenError(error, 'METRICS_PORT', { host, port })
  })
  const url = `${base}/metrics`
  return { url, close: () => app.close() }
}
