import websocket from '@fastify/websocket'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import type { RawData, WebSocket } from 'ws'
import { closeCodes, ProtocolError } from '../../protocol/errors.ts'
import { limits } from '../../protocol/limits.ts'
import { addressKey } from '../base/address-key.ts'
import { isAllowedOrigin } from '../base/own-host.ts'
import type { NodeContext } from '../node/node-context.ts'
import { Connection, type Wire } from './connection.ts'
import { admitted } from './upgrade-queue.ts'

const subprotocol = 'aimessage.v1'
/** Fragments of one message. Our clients send one; a peer could send many empty ones at no cost. */
const maxFragments = 64
/** Chunks in which one message may arrive: the largest frame in segments of 128 bytes. */
const maxBufferedChunks = 1_024
/** How long a peer may take to answer a close frame, ms. Its buffer stays allocated until then. */
const closeTimeoutMs = 2_000
/** The same for a peer that never logged in, ms. */
const strangerCloseMs = 500
/** How long peers may take to answer the close frame of a node that shuts down, ms. */
const shutdownCloseMs = 1_000
/** Interval of the check for silent peers, ms. */
const silenceCheckMs = 1_000

const socketOptions = {
  maxPayload: limits.maxFrameBytes,
  maxFragments,
  maxBufferedChunks,
  closeTimeout: closeTimeoutMs,
  // Above the node's own limit, which closes with a code: ws closes without a code at this number.
  maxPendingAutoPongs: limits.controlFramesBurst + 1,
  perMessageDeflate: false,
  handleProtocols: () => subprotocol,
}

/** Handles upgrades on every path of the app: a path other than `/ws` gets 404. */
export const webSockets = fastifyPlugin<{ node: NodeContext }>(
  async (app: FastifyInstance, { node }) => {
    await app.register(websocket, {
      options: { ...socketOptions, server: admitted(app.server, node) },
      // For frames that ws rejects, it closes with the right code itself: 1002, 1007, 1008, 1009.
      errorHandler: (error, _socket, request) => request.log.debug({ err: error }, 'a socket failed'),
      preClose: done => endSockets(app, done),
    })
  },
  { name: 'web-sockets', fastify: '5.x' },
)

/** `GET /ws`. Only this file knows WebSockets; the protocol is in `connection.ts`. */
export async function websocketRoute(app: FastifyInstance, { node }: { node: NodeContext }): Promise<void> {
  const silence = new SilenceWatch()
  app.addHook('onClose', async () => silence.end())
  const onRequest = async (request: FastifyRequest) => {
    checkUpgrade(node, request)
    node.connections.checkRoom(addressKey(request.ip))
  }
  const onError = (error: Error) => node.log.debug({ err: error }, 'a socket failed')
  app.get(
    '/ws',
    { websocket: true, onRequest, preHandler: detachResponse, schema: { hide: true } },
    (socket, request) => {
      // The plugin's own handler would keep the request in memory as long as the connection.
      socket.removeAllListeners('error').on('error', onError)
      serve(node, silence, socket, request)
    },
  )
}

/** The connections have sent their close frames. Terminates the sockets of peers that do not answer. */
function endSockets(app: FastifyInstance, done: () => void): void {
  const { websocketServer } = app
  const timer = setTimeout(() => {
    for (const client of websocketServer.clients) client.terminate()
  }, shutdownCloseMs)
  websocketServer.close(() => {
    clearTimeout(timer)
    done()
  })
}

/** @throws {ProtocolError} if the upgrade must be refused */
function checkUpgrade(node: NodeContext, request: FastifyRequest): void {
  if (!request.ws) throw new ProtocolError('bad_frame', 'this route is a WebSocket: send GET /ws with Upgrade')
  node.addressRates.spend(addressKey(request.ip))
  const offered = request.headers['sec-websocket-protocol']?.split(',').map(name => name.trim()) ?? []
  if (!offered.includes(subprotocol)) throw new ProtocolError('bad_frame', `the subprotocol must be ${subprotocol}`)
  if (!isAllowedOrigin(node.config, request.headers)) {
    node.refusedOrigins.note(request.headers.origin)
    throw new ProtocolError('forbidden', 'pages of this origin may not connect: see ALLOWED_ORIGINS')
  }
}

/** ws writes the response to the upgrade. Fastify's unused response would stay in memory as long as the connection. */
async function detachResponse({ raw: { socket } }: FastifyRequest, { raw }: FastifyReply): Promise<void> {
  raw.detachSocket(socket)
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

/** By default, `ws` passes one buffer for each message. */
function toBytes(data: RawData): Uint8Array {
  if (Array.isArray(data)) return Buffer.concat(data)
  return data instanceof ArrayBuffer ? new Uint8Array(data) : data
}

/** Joins everything sent in one turn of the event loop into one write. */
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

/** Pings each peer every 25 s, and terminates peers that were silent for 35 s. All sockets share one timer. */
class SilenceWatch {
  readonly #watched = new Map<WebSocket, Watched>()
  readonly #timer = setInterval(() => this.#check(), silenceCheckMs).unref()

  /** Returns a function to call whenever the peer sent something. */
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

  #check(): void {
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
