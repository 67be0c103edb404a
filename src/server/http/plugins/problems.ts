import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { ConnectionError, FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { type ErrorCode, errors, ProtocolError } from '../../../protocol/errors.ts'
import { toProtocolError } from '../../base/to-protocol-error.ts'
import type { NodeContext } from '../../node/node-context.ts'

const contentType = 'application/problem+json'

function sendProblem(reply: FastifyReply, error: ProtocolError, status: number = errors[error.code].http) {
  if (error.retryAfter !== undefined) reply.header('retry-after', error.retryAfter)
  if (status === 401) reply.header('www-authenticate', 'Bearer')
  return reply.code(status).type(contentType).serializer(JSON.stringify).send(toProblem(error, status))
}

/**
 * RFC 9457, plus the protocol's error code. `status` differs from the error table only for statuses such as 405 and
 * 415.
 */
const toProblem = ({ code, message: detail, retryAfter }: ProtocolError, status: number) => ({
  type: 'about:blank',
  title: titles[code],
  status,
  code,
  detail,
  ...(retryAfter !== undefined && { retryAfter }),
})

const titles: Record<ErrorCode, string> = {
  bad_frame: 'Bad request',
  bad_ack: 'Acknowledged above what was pushed',
  invalid_username: 'Invalid username',
  unauthorized: 'Not logged in, or the proof failed',
  forbidden: 'Forbidden',
  unknown_user: 'Unknown user',
  not_found: 'No such path',
  no_keys: 'No keys published',
  username_taken: 'Username taken',
  id_reused: 'Id reused',
  not_listening: 'Not listening',
  conflict: 'Conflict',
  message_too_large: 'Too large',
  rate_limited: 'Too many requests',
  internal: 'Internal error',
  unavailable: 'Unavailable',
  inbox_full: 'Inbox full',
}

/** Maps Fastify's own errors: a body that is too large, no JSON, of another content type, or against the schema. */
function fromFastify({ statusCode = 500, message }: FastifyError): { error: ProtocolError; status: number } | null {
  if (statusCode === 413) return { error: new ProtocolError('message_too_large', 'the body is too large'), status: 413 }
  if (statusCode >= 400 && statusCode < 500)
    return { error: new ProtocolError('bad_frame', message), status: statusCode }
  if (statusCode === 503)
    return { error: new ProtocolError('unavailable', 'the node is shutting down', { retryAfter: 1 }), status: 503 }
  return null
}

/** Replies to errors before routing: a path that cannot be decoded, or a name in it that is too long. */
export function refuseUnrouted(error: FastifyError, _request: FastifyRequest, reply: FastifyReply): void {
  const known = fromFastify(error)
  sendProblem(reply, known?.error ?? toProtocolError(error), known?.status)
}

/** Status and reason for errors of Node's HTTP parser, by code. Any other error is 400. */
const brokenRequests: Record<string, { status: number; reason: string }> = {
  HPE_HEADER_OVERFLOW: { status: 431, reason: 'Request Header Fields Too Large' },
  ERR_HTTP_REQUEST_TIMEOUT: { status: 408, reason: 'Request Timeout' },
}

/** Replies on the raw socket to an invalid or too slow HTTP request, for which Fastify has no request object. */
export function answerBrokenRequest({ code }: ConnectionError, socket: Socket): void {
  const { status, reason } = brokenRequests[code] ?? { status: 400, reason: 'Bad Request' }
  endWithProblem(socket, new ProtocolError('bad_frame', reason), { status, reason })
}

/** Writes an error response to a raw socket, and closes it. */
export function endWithProblem(
  socket: Duplex,
  error: ProtocolError,
  { status, reason }: { status: number; reason: string },
): void {
  const body = JSON.stringify(toProblem(error, status))
  const head = [
    `HTTP/1.1 ${status} ${reason}`,
    `Content-Type: ${contentType}`,
    `Content-Length: ${body.length}`,
    ...(error.retryAfter === undefined ? [] : [`Retry-After: ${error.retryAfter}`]),
    'Connection: close',
  ]
  if (socket.writable) socket.write(`${head.join('\r\n')}\r\n\r\n${body}`)
  socket.destroy()
}

const isFastifyError = (error: unknown): error is FastifyError =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' && error.code.startsWith('FST_')

/** Returns a pattern for the paths of a route such as `/v1/users/:username`. */
const toPattern = (url: string): RegExp => new RegExp(`^${url.replaceAll('.', '\\.').replace(/:\w+/g, '[^/]+')}/?$`)

/** Replies to every error of the app with a problem document (docs/PROTOCOL.md sections 9 and 10). */
export const problems = fastifyPlugin<{ node: NodeContext }>(
  async (app: FastifyInstance, { node }) => {
    const routes: { method: string; pattern: RegExp }[] = []
    app.addHook('onRoute', ({ method, url }) => {
      for (const name of [method].flat()) routes.push({ method: name, pattern: toPattern(url) })
    })

    app.setErrorHandler((error, request: FastifyRequest, reply) => {
      const known = isFastifyError(error) ? fromFastify(error) : null
      const refusal = known?.error ?? toProtocolError(error)
      node.metrics.refused.inc({ code: refusal.code })
      if (refusal.code === 'internal')
        request.log.error({ err: error, reqId: request.id, route: request.routeOptions.url }, 'a request failed')
      return sendProblem(reply, refusal, known?.status)
    })

    app.setNotFoundHandler((request, reply) => {
      const path = request.url.split('?', 1)[0] ?? ''
      const allowed = routes.filter(({ pattern }) => pattern.test(path)).map(({ method }) => method)
      if (allowed.length === 0) return sendProblem(reply, new ProtocolError('not_found', 'no such path'))
      reply.header('allow', [...new Set(allowed)].join(', '))
      return sendProblem(reply, new ProtocolError('bad_frame', 'this path has no such method'), 405)
    })
  },
  { name: 'problems', fastify: '5.x' },
)
