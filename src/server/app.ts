import { randomUUID } from 'node:crypto'
import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify'
import { parseObject } from '../protocol/codec.ts'
import { limits } from '../protocol/limits.ts'
import { bearer } from './plugins/bearer.ts'
import { documentation } from './plugins/documentation.ts'
import { problems } from './plugins/problems.ts'
import { validation } from './plugins/validation.ts'
import { unavailable } from './refusal.ts'
import type { RelayNode } from './relay-node.ts'
import { authRoutes } from './routes/auth.ts'
import { healthRoutes } from './routes/health.ts'
import { inboxRoutes } from './routes/inbox.ts'
import { keyRoutes } from './routes/keys.ts'
import { messageRoutes } from './routes/messages.ts'
import { socketRoutes, webSockets } from './routes/socket.ts'
import { userRoutes } from './routes/users.ts'

/** A request must be here whole by then, ms: one byte a second is an attack. */
const requestTimeoutMs = 15_000
const headersTimeoutMs = 10_000
/** An HTTP connection on which nothing moves, ms: longer than the longest wait for mail. */
const connectionTimeoutMs = (limits.maxWaitS + 15) * 1000

/** The Fastify app of a node: HTTP, the socket, their errors and their description. Does not listen yet. */
export async function buildApp(node: RelayNode, drain: AbortSignal): Promise<FastifyInstance> {
  const loggerInstance: FastifyBaseLogger = node.log
  const app = Fastify({
    loggerInstance,
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: () => randomUUID(),
    trustProxy: node.config.trustProxy.length > 0 ? [...node.config.trustProxy] : false,
    bodyLimit: limits.maxFrameBytes,
    requestTimeout: requestTimeoutMs,
    connectionTimeout: connectionTimeoutMs,
    http: { headersTimeout: headersTimeoutMs },
    exposeHeadRoutes: false,
  })
  await app.register(problems, { node })
  await app.register(validation)
  await app.register(webSockets)
  await app.register(bearer, { node })
  parseOnlyJson(app)
  addDefaults(app, node)
  await app.register(documentation)
  await app.register(healthRoutes, { node })
  for (const routes of [authRoutes, userRoutes, keyRoutes, messageRoutes]) await app.register(routes, { node })
  await app.register(inboxRoutes, { node, drain })
  await app.register(socketRoutes, { node })
  return app
}

/** JSON by the rules of a frame: depth, UTF-8, no prototype tricks. Any other content type is 415. */
function parseOnlyJson(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, async (_request: unknown, body: Buffer) =>
    body.length === 0 ? undefined : parseObject(body),
  )
}

function addDefaults(app: FastifyInstance, node: RelayNode): void {
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-content-type-options', 'nosniff')
    if (request.url.startsWith('/v1/')) reply.header('cache-control', 'no-store')
    if (!node.isDraining() || request.url.startsWith('/health/')) return
    reply.header('connection', 'close')
    throw unavailable('the node is shutting down')
  })
}
