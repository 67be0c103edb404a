import { randomUUID } from 'node:crypto'
import type { Socket } from 'node:net'
import t, { type Test } from 'tap'
import { readConfig } from '../../../src/server/base/config.ts'
import { storeOptions } from '../../../src/server/open-store.ts'
import { openRedisStore } from '../../../src/server/store/redis/redis-store.ts'
import { RawClient } from '../../../tools/clients/raw-client.ts'
import { type RedisProcess, startRedis } from '../../../tools/servers/redis.ts'
import { startTestNode } from '../../../tools/servers/running-node.ts'
import { proxyRedis } from '../../fixtures/servers/redis-links.ts'
import { until } from '../store/contract/world.ts'

/**
 * More than all buffers on the way, and than Redis keeps for a subscriber here (by default 32 MB, or 8 MB for a
 * minute).
 */
const limit = 'pubsub 4mb 2mb 1'
const messages = 400
const bodyChars = 120_000
/** Sends in flight. */
const window = 16
const large = '1073741824'
const env = { INBOX_MAX_BYTES: large, USER_BYTES_PER_S: large, SENDER_MAX_BYTES: large, ADDRESS_MAX_BYTES: large }

/** A node that reaches Redis through a proxy. `links` are the proxy's connections to Redis. */
async function startNode(t: Test, redis: RedisProcess) {
  const { url, links } = await proxyRedis(t, redis.port)
  const store = await openRedisStore(storeOptions(readConfig(env)), { url })
  return { node: await startTestNode(t, env, { store }), links, nodeId: store.nodeId }
}

/** The proxy's connection that carries the node's subscription, found by the port that Redis sees. */
async function hintsLink(redis: RedisProcess, links: readonly Socket[]): Promise<Socket> {
  const clients = String(await redis.cli('CLIENT', 'LIST')).split('\n')
  const port = clients.find(line => line.includes('name=aimessage-hints'))?.match(/ addr=127\.0\.0\.1:(\d+)/)?.[1]
  const link = links.find(({ localPort }) => localPort === Number(port))
  if (!link) throw new Error('the node does not hear through the proxy')
  return link
}

// Evidence: C3
t.test('C3: Redis disconnects a node whose hints overrun its buffer, and no message is lost', async t => {
  const redis = await startRedis(t, { config: { 'client-output-buffer-limit': limit } })
  const near = await startNode(t, redis)
  const link = await hintsLink(redis, near.links)
  const bob = await RawClient.listening(t, near.node.wsUrl)
  bob.socket.on('message', data => {
    const frame = JSON.parse(String(data))
    if (frame.type === 'message') bob.send({ type: 'ack', seq: frame.seq })
  })
  const far = await startTestNode(t, env, {
    store: await openRedisStore(storeOptions(readConfig(env)), { url: redis.url }),
  })
  const alice = await RawClient.loggedIn(t, far.wsUrl)

  link.pause()
  const body = 'A'.repeat(bodyChars)
  const ids = Array.from({ length: messages }, () => randomUUID())
  const send = async (id: string) => {
    const answer = await alice.request({ type: 'send', id, to: bob.user.username, body })
    if (answer.type !== 'accepted') throw new Error(JSON.stringify(answer))
  }
  for (let at = 0; at < messages; at += window) await Promise.all(ids.slice(at, at + window).map(send))
  await until(() => /name=aimessage-hints.*overcoming of output buffer limits/.test(redis.log()), 'Redis cuts it off')
  t.same(
    (await bob.pushes(messages)).map(({ id }) => id),
    ids,
    'all came, in order, once',
  )
  await until(
    async () => (await redis.cli('PUBSUB', 'NUMSUB', `aim:node:${near.nodeId}`))?.toString().endsWith('1') === true,
    'it hears again',
  )
})
