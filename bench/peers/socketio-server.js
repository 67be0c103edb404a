import { createServer } from 'node:http'
import { createAdapter } from '@socket.io/redis-streams-adapter'
import { Redis } from 'ioredis'
import { Server } from 'socket.io'

/** A room per agent over the Redis streams adapter; what is sent to the absent is kept nowhere. */
const http = createServer()
const io = new Server(http, {
  transports: ['websocket'],
  perMessageDeflate: false,
  adapter: createAdapter(new Redis(process.env.REDIS_URL)),
})

io.on('connection', socket => {
  const { name } = socket.handshake.auth
  socket.join(name)
  socket.on('send', (to, body, accepted) => {
    io.to(to).emit('message', name, body)
    accepted()
  })
})
http.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ port: http.address().port })))
