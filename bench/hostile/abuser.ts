import { once } from 'node:events'
import { WebSocket } from 'ws'
import { identityText, newUser, prove } from '../../tools/clients/raw-client.ts'

/**
 * One user that sends `perSecond` frames per second, ignores all errors, and reconnects at once after a close.
 * `kind` is `send` or `ping`. Prints one line of counters per second.
 */
const [url = '', kind = 'send', perSecond = '1000'] = process.argv.slice(2)
const { username, identity } = newUser()
const tickMs = 10
const counts = { sent: 0, accepted: 0, refused: 0, closed: 0 }
/** Limit of the bytes that wait in the socket. Above it nothing is sent, as with a full kernel buffer. */
const maxBufferedBytes = 4_194_304

function connect(): void {
  const socket = new WebSocket(url, ['aimessage.v1'], { localAddress: '127.0.2.1' })
  socket.on('error', () => {})
  socket.on('message', data => {
    const text = String(data)
    if (text.startsWith('{"type":"challenge"')) login(socket, JSON.parse(text).nonce)
    else if (text.startsWith('{"type":"accepted"')) counts.accepted += 1
    else if (text.startsWith('{"type":"error"')) counts.refused += 1
    else if (text.startsWith('{"type":"authenticated"')) flood(socket)
  })
  socket.on('close', () => {
    counts.closed += 1
    setTimeout(connect, tickMs)
  })
}

function login(socket: WebSocket, nonce: string): void {
  const signature = prove(identity, { purpose: 'register', username, nonce })
  socket.send(JSON.stringify({ type: 'register', id: 'l', username, identity: identityText(identity), signature }))
}

function flood(socket: WebSocket): void {
  const perTick = (Number(perSecond) * tickMs) / 1_000
  const timer = setInterval(() => {
    for (let index = 0; index < perTick && socket.bufferedAmount < maxBufferedBytes; index += 1) {
      counts.sent += 1
      if (kind === 'ping') socket.ping()
      else
        socket.send(
          `{"type":"send","id":"m${counts.sent}","to":"sink-${counts.sent % 50}","body":"${'A'.repeat(256)}"}`,
        )
    }
  }, tickMs)
  socket.on('close', () => clearInterval(timer))
}

connect()
setInterval(() => process.stdout.write(`${JSON.stringify(counts)}\n`), 1_000)
await once(process, 'SIGTERM')
