import { createServer, type IncomingMessage } from 'node:http'
import { type RawData, WebSocket, WebSocketServer } from 'ws'
import type { Owner } from '../teardown.ts'
import { listenOnLoopback } from './listen.ts'

/** One connection of a client to the real node, as the man in the middle sees it. */
export type Middle = {
  /** The path of the URL that the client dialled. */
  path: string
  toClient(data: string | Uint8Array): void
  toNode(text: string): void
  /** Ends both connections: the client's with a close code, or without a closing handshake. */
  end(code?: number, reason?: string): void
}
/** Decides what becomes of each frame. */
export type Relay = { fromClient(text: string): void; fromNode(text: string): void; closed?(): void }
export type FrameProxyOptions = {
  relay(middle: Middle): Relay
  /** Returns an HTTP answer to send in place of the upgrade, as it goes over the wire. */
  refuse?(path: string): string | undefined
}

const subprotocol = 'aimessage.v1'

/**
 * A man in the middle between clients and a real node. Returns its URL. A client may add any path, by which `relay`
 * recognizes it.
 */
export async function startFrameProxy(owner: Owner, realUrl: string, options: FrameProxyOptions): Promise<string> {
  const sockets = new WebSocketServer({ noServer: true, handleProtocols: () => subprotocol })
  const server = createServer((_request, response) => response.writeHead(426).end())
  server.on('upgrade', (request: IncomingMessage, socket, head) => {
    socket.on('error', () => {})
    const path = request.url ?? '/'
    const refusal = options.refuse?.(path)
    if (refusal !== undefined) socket.end(refusal)
    else sockets.handleUpgrade(request, socket, head, client => join(client, path, realUrl, options))
  })
  const port = await listenOnLoopback(server)
  owner.teardown(() => {
    for (const client of sockets.clients) client.terminate()
    server.closeAllConnections()
    return new Promise(resolve => server.close(resolve))
  })
  return `ws://127.0.0.1:${port}`
}

function join(client: WebSocket, path: string, realUrl: string, options: FrameProxyOptions): void {
  const node = new WebSocket(realUrl, subprotocol)
  const early: string[] = []
  const write = (to: WebSocket, data: string | Uint8Array) => {
    if (to.readyState === WebSocket.OPEN) to.send(data)
  }
  const relay = options.relay({
    path,
    toClient: data => write(client, data),
    toNode: text => (node.readyState === WebSocket.CONNECTING ? early.push(text) : write(node, text)),
    end: (code, reason) => {
      close(client, code, reason)
      node.terminate()
    },
  })
  client.on('message', (data: RawData) => relay.fromClient(String(data)))
  node.on('open', () => {
    for (const text of early.splice(0)) write(node, text)
  })
  node.on('message', (data: RawData) => relay.fromNode(String(data)))
  client.on('close', (code, reason) => {
    relay.closed?.()
    close(node, code, reason.toString())
  })
  node.on('close', (code, reason) => close(client, code, reason.toString()))
  client.on('error', () => {})
  node.on('error', () => client.terminate())
}

/** Codes that a peer may not send, such as 1006, become an end without a closing handshake. */
function close(socket: WebSocket, code: number | undefined, reason: string | undefined): void {
  const isSendable =
    code !== undefined && code >= 1000 && code !== 1004 && code !== 1005 && code !== 1006 && code < 5000
  if (isSendable && socket.readyState === WebSocket.OPEN) socket.close(code, reason)
  else socket.terminate()
}
