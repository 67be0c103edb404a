import { once } from 'node:events'
import { WebSocket } from 'ws'
import { defer } from '../../src/util/deferred.ts'
import { startPeer } from './peer-process.ts'
import type { Agent, Connecting, Owner, Running } from './system.ts'

/** The bare relay: the cost of a WebSocket hop without any guarantee. */
export async function startFloor(owner: Owner): Promise<Running> {
  const { port, pid } = await startPeer(owner, 'floor-server.js')
  return { name: 'bare ws', pids: [pid], redisPid: undefined, connect: (name, options) => connect(port, name, options) }
}

async function connect(port: number, name: string, { onMessage = () => {} }: Connecting): Promise<Agent> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/?name=${name}`, { perMessageDeflate: false })
  await once(socket, 'open')
  socket.on('error', () => {})
  const pending = new Map<string, () => void>()
  let sent = 0
  socket.on('message', data => {
    const frame = JSON.parse(String(data))
    if (frame.type === 'message') return onMessage(frame.body)
    pending.get(frame.id)?.()
    pending.delete(frame.id)
  })
  return {
    send: (to, body) => {
      const id = `m${sent++}`
      const { promise, resolve } = defer<void>()
      pending.set(id, resolve)
      socket.send(JSON.stringify({ id, to, body }))
      return promise
    },
    close: () => socket.terminate(),
  }
}
