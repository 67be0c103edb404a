import { WebSocket } from 'ws'
import { limits } from '../../protocol/limits.ts'
import { type Dial, type SocketEnd, subprotocol } from './socket.ts'

/** TLS options for `wss:`. `ca` is trusted in addition to the system's authorities. */
type TlsOptions = { ca?: string | Buffer }

/** Limit for the opening handshake, ms. */
const handshakeTimeoutMs = 10_000

/** Error codes for a certificate of an unknown authority. */
const unknownAuthority = [
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
]

function failureOf(error: Error & { code?: unknown }): Omit<SocketEnd, 'code'> {
  // The text of this error has names from the certificate, which the other side has chosen.
  if (error.code !== 'ERR_TLS_CERT_ALTNAME_INVALID') return { reason: reasonOf(error) }
  return { reason: 'its certificate is for another name', said: error.message }
}

function reasonOf(error: Error & { code?: unknown }): string {
  if (!unknownAuthority.some(code => code === error.code)) return error.message
  return `its certificate is signed by an unknown authority (${error.message}); to trust it, pass its file with --ca-file or NODE_EXTRA_CA_CERTS`
}

/** Opens WebSockets in Node, with the package `ws`. */
export const dialNode =
  (tls: TlsOptions = {}): Dial =>
  (url, handlers) => {
    const socket = new WebSocket(url, subprotocol, {
      ...tls,
      perMessageDeflate: false,
      handshakeTimeout: handshakeTimeoutMs,
      maxPayload: limits.maxFrameBytes * 2,
      followRedirects: false,
    })
    let failure: Omit<SocketEnd, 'code'> = { reason: '' }
    socket.on('open', () => handlers.opened())
    socket.on('message', (data, isBinary) => {
      if (isBinary || !Buffer.isBuffer(data)) socket.close(1003)
      else handlers.frame(data)
    })
    socket.on('unexpected-response', (request, response) => {
      const retryAfter = Number(response.headers['retry-after'])
      failure = {
        reason: `the server answered ${response.statusCode}`,
        status: response.statusCode ?? 0,
        ...(retryAfter > 0 && { retryAfter }),
      }
      request.destroy()
      socket.terminate()
    })
    socket.on('error', error => {
      if (!failure.reason) failure = failureOf(error)
    })
    socket.on('close', (code, reason) =>
      handlers.closed({ ...failure, code, ...(reason.length > 0 && { said: reason.toString() }) }),
    )
    return {
      send: text => socket.send(text),
      close: () => socket.close(1000),
      terminate: () => socket.terminate(),
    }
  }
