import websocket from '@fastify/websocket'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import type { RawData, WebSocket } from 'ws'
import { closeCodes, ProtocolError } from '../../protocol/errors.ts'
import { limits } from '../../protocol/limits.ts'
import { addressKey } from '../base/address-key.ts'
import type { NodeContext } from '../node/node-context.ts'
import { Connection, type Wire } from './connection.ts'
import { admitted } from './upgrade-queue.ts'

const subprotocol = 'aimessage.v1'
/** Parts of one message: no client of ours sends more than one, and empty ones cost the peer nothing. */
const maxFragments = 64
/** Pieces in which one message may arrive: the largest frame in segments of 128 bytes. */
const maxBufferedChunks = 1_024
/** How long a peer may take to answer a close, ms: a slow one would hold its buffer all that time. */
const closeTimeoutMs = 2_000
/** The same for one that never said who it is, ms. */
const strangerCloseMs = 500
/** How long peers have to answer the last close of a node that goes, ms. */
const lastWordMs = 1_000
/** How often silent peers are looked for, ms. */
const sweepMs = 1_000

const socketOptions = {
  maxPayload: limits.maxFrameBytes,
  maxFragments,
  maxBufferedChunks,
  closeTimeout: closeTimeoutMs,
  // More than the node lets through, which closes with a code; beyond its own number ws cuts off without one.
  maxPendingAutoPongs: limits.controlFramesBurst + 1,
  perMessageDeflate: false,
  handleProtocols: () => subprotocol,
}

/** WebSockets for the whole app: an upgrade is answered on every path, if only with 404. */
export const webSockets = fastifyPlugin<{ node: NodeContext }>(
  async (app: FastifyInstance, { node }) => {
    await app.register(websocket, {
      options: { ...socketOptions, server: admitted(app.server, node) },
      // What ws refuses it closes with the right code itself: 1002, 1007, 1008, 1009.
      errorHandler: (error, _socket, request) => request.log.debug({ err: error }, 'a socket failed'),
      preClose: done => endSockets(app, done),
    })
  },
  { name: 'web-sockets', fastify: '5.x' },
)

/** `GET /ws`. The only file that sees a WebSocket; the protocol is in `connection`. */
export async function websocketRoute(app: FastifyInstance, { node }: { node: NodeContext }): Promise<void> {
  const silence = new SilenceWatch()
  app.addHook('onClose', async () => silence.end())
  const onRequest = async (request: FastifyRequest) => {
    checkUpgrade(node, request)
    node.connections.checkRoom(addressKey(request.ip))
  }
  const onError = (error: Error) => node.log.debug({ err: error }, 'a socket failed')
  app.get('/ws', { websocket: true, onRequest, preHandler: letGo, schema: { hide: true } }, (socket, request) => {
    // The plugin's own listener would keep the request as long as the connection.
    socket.removeAllListeners('error').on('error', onError)
    serve(node, silence, socket, request)
  })
}

/** Connections have been closed; peers that do not answer are cut off. */
function endSockets(app: FastifyInstance, done: () => void): void {
  const { websocketServer } = app
  const timer = setTimeout(() => {
    for (const client of websocketServer.clients) client.terminate()
  }, lastWordMs)
  websocketServer.close(() => {
    clearTimeout(timer)
    done()
  })
}

/** @throws {ProtocolError} what the upgrade is refused with */
function checkUpgrade(node: NodeContext, request: FastifyRequest): void {
  if (!request.ws) throw new ProtocolError('bad_frame', 'this is a WebSocket: GET /ws with Upgrade')
  node.addressRates.spend(addressKey(request.ip))
  const offered = request.headers['sec-websocket-protocol']?.split(',').map(name => name.trim()) ?? []
  if (!offered.includes(subprotocol)) throw new ProtocolError('bad_frame', `the subprotocol is ${subprotocol}`)
  if (!isAllowedOrigin(request, node.config.allowedOrigins)) {
    throw new ProtocolError('forbidden', 'this origin may not connect')
  }
}

/** The upgrade will be answered by ws: an answer that nobody writes would stay with the transport as long as the connection, and the request with it. */
async function letGo({ raw: { socket } }: FastifyRequest, { raw }: FastifyReply): Promise<void> {
  raw.detachSocket(socket)
}

/** Browsers send an origin and cannot lie about it; whoever is no browser needs none. */
function isAllowedOrigin({ headers, host }: FastifyRequest, allowed: readonly string[]): boolean {
  const { origin } = headers
  if (origin === undefined || allowed.includes(origin)) return true
  return allowed.length === 0 && URL.canParse(origin) && new URL(origin).host === host
}

function serve(node: NodeContext, silence: SilenceWatch, socket: WebSocket, request: FastifyRequest): void {
  const { socket: transport } = request.raw
  const connection = new Connection(node, openWire(socket, transport), addressKey(request.ip))
  const alive = silence.watch(socket)
  socket.on('message', (data, isBinary) => {
    alive()
    if (isBinary) void connection.close('notTheProtocol', 'frames are text')
    else connection.receive(toBytes(data))
  })
  const onControl = () => {
    alive()
    connection.countControl()
  }
  socket.on('ping', onControl)
  socket.on('pong', onControl)
  const onDrain = () => connection.drained()
  transport.on('drain', onDrain)
  socket.on('close', () => {
    silence.forget(socket)
    transport.off('drain', onDrain)
    void connection.end()
  })
}

/** `ws` hands over one buffer for each message unless told otherwise. */
function toBytes(data: RawData): Uint8Array {
  if (Array.isArray(data)) return Buffer.concat(data)
  return data instanceof ArrayBuffer ? new Uint8Array(data) : data
}

/** Everything that is sent in one turn of the event loop leaves in one write. */
function openWire(socket: WebSocket, transport: FastifyRequest['raw']['socket']): Wire {
  let corked = false
  const cork = () => {
    if (corked) return
    corked = true
    transport.cork()
    setImmediate(() => {
      corked = false
      transport.uncork()
    })
  }
  return {
    send: text => {
      cork()
      socket.send(text, { compress: false })
    },
    close: (code, reason) => {
      socket.close(code, reason)
      if (code === closeCodes.loginTimeout.code) setTimeout(() => socket.terminate(), strangerCloseMs).unref()
    },
    bufferedBytes: () => socket.bufferedAmount,
    pause: () => socket.pause(),
    resume: () => socket.resume(),
  }
}

type Watched = { heardAt: number; pingedAt: number }

/** Pings each peer every 25 s and drops those that were silent for 35 s. One timer for all. */
class SilenceWatch {
  readonly #watched = new Map<WebSocket, Watched>()
  readonly #timer = setInterval(() => this.#sweep(), sweepMs).unref()

  /** Returns what to call whenever the peer was heard. */
  watch(socket: WebSocket): () => void {
    const now = performance.now()
    const watched: Watched = { heardAt: now, pingedAt: now }
    this.#watched.set(socket, watched)
    return () => {
      watched.heardAt = performance.now()
    }
  }

  forget(socket: WebSocket): void {
    this.#watched.delete(socket)
  }

  end(): void {
    clearInterval(this.#timer)
  }

  #sweep(): void {
    const now = performance.now()
    for (const [socket, watched] of this.#watched) {
      if (now - watched.heardAt >= limits.silenceMs) socket.terminate()
      else if (now - watched.pingedAt >= limits.pingMs) {
        watched.pingedAt = now
        socket.ping()
      }
    }
  }
}
