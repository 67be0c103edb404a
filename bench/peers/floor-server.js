import { WebSocketServer } from 'ws'

/** The least that a relay can do: parse, look up, pass on, answer. It stores nothing and checks nothing. */
const sockets = new Map()
const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false })

server.on('connection', (socket, request) => {
  const name = new URL(request.url, 'ws://localhost').searchParams.get('name')
  sockets.set(name, socket)
  socket.on('close', () => sockets.delete(name))
  socket.on('message', data => {
    const { id, to, body } = JSON.parse(String(data))
    sockets.get(to)?.send(JSON.stringify({ type: 'message', id, from: name, body }))
    socket.send(JSON.stringify({ type: 'accepted', id }))
  })
})
server.on('listening', () => console.log(JSON.stringify({ port: server.address().port })))
