import { type Dial, subprotocol } from './socket.ts'

/** Abnormal closure: without a close frame (RFC 6455 section 7.4.1). */
const abnormal = 1006

/** A browser does not report why an upgrade failed. The page's origin is the reason that every new page meets. */
function failedUpgrade(): string {
  const origin: unknown = globalThis.location?.origin
  const page = typeof origin === 'string' ? `the page's origin ${origin}` : "the page's origin"
  return `it did not answer, or ${page} is not in its ALLOWED_ORIGINS`
}

/** Opens WebSockets in browsers. */
export const dialBrowser: Dial = (url, handlers) => {
  const socket = new WebSocket(url, subprotocol)
  let ended = false
  let wasOpen = false
  const end = (code: number, reason: string, said?: string) => {
    if (ended) return
    ended = true
    handlers.closed({ code, reason, ...(said && { said }) })
  }
  socket.onopen = () => {
    wasOpen = true
    handlers.opened()
  }
  socket.onmessage = ({ data }) => {
    if (ended) return
    if (typeof data === 'string') handlers.frame(data)
    else socket.close()
  }
  socket.onclose = ({ code, reason }) => end(code, !wasOpen && code === abnormal ? failedUpgrade() : '', reason)
  return {
    send: text => socket.send(text),
    close: () => socket.close(1000),
    terminate: () => {
      socket.close()
      // A half-open connection never completes the closing handshake, and a browser waits long for it.
      queueMicrotask(() => end(1006, 'terminated'))
    },
  }
}
