import { createHash, randomUUID, timingSafeEqual } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import {
  localhostHostValidation,
  localhostOriginValidation,
  NodeStreamableHTTPServerTransport,
  toNodeHandler,
  toWebRequest,
} from '@modelcontextprotocol/node'
import { createMcpHandler, isLegacyRequest, type McpServer } from '@modelcontextprotocol/server'

/** Largest request body, bytes: several times a full text with its escapes. */
const maxBodyBytes = 1_048_576
/** MCP sessions (2025 protocol) at a time. One more ends the least recently used session. */
const maxSessions = 64

export type HttpOptions = { port: number; token: string; build: () => McpServer; onError: (error: unknown) => void }
export type RunningHttp = { url: string; close(): Promise<void> }

/** Serves MCP over Streamable HTTP at `/mcp`, on the loopback address only. Callers must present the token. */
export async function serveHttp({ port, token, build, onError }: HttpOptions): Promise<RunningHttp> {
  const modern = createMcpHandler(build, { legacy: 'reject', maxRequestBodySize: maxBodyBytes, onerror: onError })
  const serveModern = toNodeHandler(modern, { onerror: onError })
  const legacyClients = new LegacyClients(build)
  const isHostRight = localhostHostValidation()
  const isOriginRight = localhostOriginValidation()
  const isCaller = tokenCheck(token)

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    if (!isHostRight(request, response) || !isOriginRight(request, response)) return
    const { url = '/' } = request
    // Clients look for OAuth below /.well-known first: 401 there would make them ask a user to log in.
    if (url.split('?')[0] !== '/mcp') return refuse(response, 404)
    if (!isCaller(request)) return refuseCaller(request, response)
    const named = Object.assign(request, { method: request.method ?? 'GET', url })
    const web = await toWebRequest(named, undefined, { maxRequestBodySize: maxBodyBytes })
    const body: unknown = request.method === 'POST' ? JSON.parse(await web.clone().text()) : undefined
    if (await isLegacyRequest(web, body)) await legacyClients.handle(request, response, body)
    else await serveModern(named, response, body)
  }
  const server = createServer((request, response) => {
    handle(request, response).catch(error => {
      if (!(error instanceof SyntaxError)) onError(error)
      if (!response.headersSent) refuse(response, statusOf(error))
    })
  })
  await listen(server, port)
  return {
    url: `http://127.0.0.1:${portOf(server)}/mcp`,
    close: async () => {
      await Promise.all([modern.close(), legacyClients.close()])
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

/** Clients of the 2025 protocol, with one transport each: otherwise a client could not cancel its own calls. */
class LegacyClients {
  readonly #build: () => McpServer
  readonly #transports = new Map<string, NodeStreamableHTTPServerTransport>()

  constructor(build: () => McpServer) {
    this.#build = build
  }

  async handle(request: IncomingMessage, response: ServerResponse, body: unknown): Promise<void> {
    const id = request.headers['mcp-session-id']
    const known = typeof id === 'string' ? this.#use(id) : undefined
    if (id !== undefined && !known) return refuse(response, 404)
    await (known ?? (await this.#open())).handleRequest(request, response, body)
  }

  async close(): Promise<void> {
    await Promise.all([...this.#transports.values()].map(transport => transport.close()))
  }

  #use(id: string): NodeStreamableHTTPServerTransport | undefined {
    const transport = this.#transports.get(id)
    if (!transport) return undefined
    this.#transports.delete(id)
    this.#transports.set(id, transport)
    return transport
  }

  async #open(): Promise<NodeStreamableHTTPServerTransport> {
    const transport: NodeStreamableHTTPServerTransport = new NodeStreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: id => {
        this.#transports.set(id, transport)
        this.#shrink()
      },
    })
    await this.#build().connect(transport)
    const { onclose } = transport
    transport.onclose = () => {
      onclose?.()
      if (transport.sessionId !== undefined) this.#transports.delete(transport.sessionId)
    }
    return transport
  }

  #shrink(): void {
    const [oldest] = this.#transports.values()
    if (this.#transports.size > maxSessions) void oldest?.close()
  }
}

const digest = (text: string): Uint8Array => createHash('sha256').update(text).digest()

/** Compares digests, so that the time reveals nothing about the token. */
function tokenCheck(token: string): (request: IncomingMessage) => boolean {
  const expected = digest(`Bearer ${token}`)
  return ({ headers }) => timingSafeEqual(digest(headers.authorization ?? ''), expected)
}

/** Says what to set: there is no OAuth here. */
function refuseCaller({ headers }: IncomingMessage, response: ServerResponse): void {
  const isWrong = headers.authorization !== undefined
  const challenge = isWrong ? 'Bearer error="invalid_token"' : 'Bearer'
  const text =
    'send "Authorization: Bearer TOKEN" with the token that "aimessage mcp --http" has printed or was given\n'
  response.writeHead(401, { 'WWW-Authenticate': challenge, 'Content-Type': 'text/plain' }).end(text)
}

function refuse(response: ServerResponse, status: number, headers: Record<string, string> = {}): void {
  response.writeHead(status, headers).end()
}

function statusOf(error: unknown): number {
  if (error instanceof SyntaxError) return 400
  return error instanceof Error && error.name === 'RequestBodyTooLargeError' ? 413 : 500
}

async function listen(server: Server, port: number): Promise<void> {
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
}

function portOf(server: Server): number {
  const address = server.address()
  return typeof address === 'object' && address ? address.port : 0
}
