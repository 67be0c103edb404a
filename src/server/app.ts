import { randomUUID } from 'node:crypto'
import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify'
import { parseObject } from '../protocol/codec.ts'
import { ProtocolError } from '../protocol/errors.ts'
import { limits } from '../protocol/limits.ts'
import { isAllowedHost, isAllowedOrigin, isOwnOrigin } from './base/own-host.ts'
import { unavailable } from './base/to-protocol-error.ts'
import { accountRoutes } from './http/account.ts'
import { operatorRoutes } from './http/admin.ts'
import { authRoutes } from './http/auth.ts'
import { cardRoutes } from './http/cards.ts'
import { healthRoutes } from './http/health.ts'
import { inboxRoutes } from './http/inbox.ts'
import { keyRoutes } from './http/keys.ts'
import { messageRoutes } from './http/messages.ts'
import { bearer } from './http/plugins/bearer.ts'
import { documentation } from './http/plugins/documentation.ts'
import { forwardedFor } from './http/plugins/forwarded-for.ts'
import { answerBrokenRequest, problems, refuseUnrouted } from './http/plugins/problems.ts'
import { securityHeaders } from './http/plugins/security-headers.ts'
import { validation } from './http/plugins/validation.ts'
import { userRoutes } from './http/users.ts'
import type { NodeContext } from './node/node-context.ts'
import { webSockets, websocketRoute } from './socket/websocket-route.ts'

/** Closes an HTTP connection without traffic after this time, ms. Longer than the longest wait for mail. */
const connectionTimeoutMs = (limits.maxWaitS + 15) * 1000

/** The longest name in a path: an address with its `@` escaped. */
const maxPathNameChars = 260

/** Builds the Fastify app of a node: HTTP routes, the WebSocket, errors and OpenAPI. It does not listen yet. */
export async function buildApp(node: NodeContext, drain: AbortSignal): Promise<FastifyInstance> {
  const loggerInstance: FastifyBaseLogger = node.log
  const app = Fastify({
    loggerInstance,
    // A logger for each request would cost 9 µs and 12 KB. The one line about a request names it itself.
    childLoggerFactory: logger => logger,
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: () => randomUUID(),
    trustProxy: node.config.trustProxy.length > 0 ? [...node.config.trustProxy] : false,
    bodyLimit: limits.maxFrameBytes,
    requestTimeout: limits.requestTimeoutMs,
    connectionTimeout: connectionTimeoutMs,
    http: {
      headersTimeout: limits.headersTimeoutMs,
      connectionsCheckingInterval: limits.lateCheckMs,
      requireHostHeader: false,
    },
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength: maxPathNameChars },
    frameworkErrors: refuseUnrouted,
    clientErrorHandler: answerBrokenRequest,
  })
  app.server.maxConnections = node.config.maxConnections + limits.httpReserve
  await app.register(problems, { node })
  await app.register(forwardedFor, { node })
  await app.register(securityHeaders)
  await app.register(validation)
  await app.register(webSockets, { node })
  await app.register(bearer, { node })
  parseOnlyJson(app)
  addDefaults(app, node)
  await app.register(documentation, { isOperated: node.config.adminTokenHash !== null })
  await app.register(healthRoutes, { node })
  for (const routes of [authRoutes, userRoutes, accountRoutes, cardRoutes, keyRoutes, messageRoutes])
    await app.register(routes, { node })
  const { adminTokenHash: tokenHash } = node.config
  if (tokenHash !== null) await app.register(operatorRoutes, { node, tokenHash })
  await app.register(inboxRoutes, { node, drain })
  await app.register(websocketRoute, { node })
  return app
}

/** Parses JSON by the rules of a frame: bounded depth, valid UTF-8, no `__proto__`. Any other content type is 415. */
function parseOnlyJson(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, async (_request: unknown, body: Buffer) =>
    body.length === 0 ? undefined : parseObject(body),
  )
}

function addDefaults(app: FastifyInstance, node: NodeContext): void {
  app.addHook('onRequest', async (request, reply) => {
    // Node's own reply would have no error code.
    if (request.headers.host === undefined && request.raw.httpVersion === '1.1')
      throw new ProtocolError('bad_frame', 'Host is missing')
    if (!isAllowedHost(node.config, request.headers.host))
      throw new ProtocolError('forbidden', `Host must be ${node.config.domain} or a loopback name`)
    const isAllowed = isAllowedOrigin(node.config, request.headers) || isOwnOrigin(node.config, request.headers)
    if (!request.ws && !isAllowed) {
      node.refusedOrigins.note(request.headers.origin)
      throw new ProtocolError('forbidden', 'pages of this origin may not call this node: see ALLOWED_ORIGINS')
    }
    if (request.ws && request.routeOptions.url !== '/ws')
      throw new ProtocolError('not_found', 'the WebSocket is at /ws')
    if (!node.isDraining() || request.url.startsWith('/health/')) return
    reply.header('connection', 'close')
    throw unavailable('the node is shutting down')
  })
}
