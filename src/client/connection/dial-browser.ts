import { type Dial, subprotocol } from './socket.ts'

/** Opens WebSockets in browsers. A browser does not report why an upgrade was refused. */
export const dialBrowser: Dial = (url, handlers) => {
  const socket = new WebSocket(url, subprotocol)
  let ended = false
  const end = (code: number, reason: string, said?: string) => {
    if (ended) return
    ended = true
    handlers.closed({ code, reason, ...(said && { said }) })
  }
  socket.onopen = () => handlers.opened()
  socket.onmessage = ({ data }) => {
    if (ended) return
    if (typeof data === 'string') handlers.frame(data)
    else socket.close()
  }
  socket.onclose = ({ code, reason }) => end(code, '', reason)
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
