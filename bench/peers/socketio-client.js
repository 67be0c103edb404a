import { io } from 'socket.io-client'

/** Connects one agent; `send` resolves when the server has taken the message. */
export async function connectSocketIo(port, name, onMessage) {
  const socket = io(`ws://127.0.0.1:${port}`, { transports: ['websocket'], forceNew: true, auth: { name } })
  await new Promise((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('connect_error', reject)
  })
  socket.on('message', (_from, body) => onMessage(body))
  return {
    send: (to, body) => new Promise(resolve => socket.emit('send', to, body, resolve)),
    close: () => socket.disconnect(),
  }
}
