import { startRedis } from '../../tools/servers/redis.ts'
import { connectAedes } from '../peers/aedes-client.js'
import { connectSocketIo } from '../peers/socketio-client.js'
import { startPeer } from './peer-process.ts'
import type { Agent, Owner, Running } from './system.ts'

type Connect = (port: number, name: string, onMessage: (body: string) => void) => Promise<Agent>
type Peer = { name: string; server: string; connect: Connect }

/** Each system has its own Redis, configured like that of aimessage. */
const peers = {
  socketIo: { name: 'socket.io + Redis streams', server: 'socketio-server.js', connect: connectSocketIo },
  aedes: { name: 'aedes + Redis, QoS 1', server: 'aedes-server.js', connect: connectAedes },
} satisfies Record<string, Peer>

async function start(owner: Owner, { name, server, connect }: Peer): Promise<Running> {
  const redis = await startRedis(owner)
  const { port, pid } = await startPeer(owner, server, { REDIS_URL: redis.url })
  return {
    name,
    pids: [pid],
    redisPid: redis.pid,
    connect: (agent, { onMessage = () => {} }) => connect(port, agent, onMessage),
  }
}

export const startSocketIo = (owner: Owner): Promise<Running> => start(owner, peers.socketIo)
export const startAedes = (owner: Owner): Promise<Running> => start(owner, peers.aedes)
