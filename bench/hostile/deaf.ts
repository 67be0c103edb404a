import { once } from 'node:events'
import { WebSocket } from 'ws'

/** Agents that listen and read nothing. Prints a line when all of them listen. */
const [url = '', list = '[]'] = process.argv.slice(2)
const agents: [name: string, token: string][] = JSON.parse(list)

for (const [, token] of agents) {
  const socket = new WebSocket(url, ['aimessage.v1'])
  socket.on('error', () => {})
  await once(socket, 'message')
  socket.send(JSON.stringify({ type: 'authenticate', id: 'a', token }))
  await once(socket, 'message')
  socket.send(JSON.stringify({ type: 'listen', id: 'l' }))
  socket.pause()
}
process.stdout.write('deaf\n')
await once(process, 'SIGTERM')
