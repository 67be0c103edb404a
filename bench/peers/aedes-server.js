import { createServer } from 'node:net'
import { Aedes } from 'aedes'
import redisPersistence from 'aedes-persistence-redis'
import { Redis } from 'ioredis'
import mqemitterRedis from 'mqemitter-redis'

/** MQTT at QoS 1, sessions and queues in Redis. */
const { hostname: host, port } = new URL(process.env.REDIS_URL)
const broker = await Aedes.createBroker({
  persistence: redisPersistence({ conn: new Redis(process.env.REDIS_URL) }),
  mq: mqemitterRedis({ host, port: Number(port) }),
})
const server = createServer(broker.handle)
server.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ port: server.address().port })))
