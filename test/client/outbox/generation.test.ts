import t from 'tap'
import { inboxKey, metaKey, seenKeys, shareKey } from '../../../src/server/store/redis/connection/keys.ts'
import { receiveSome, registerAgent, textsOf } from '../../../tools/clients/agents.ts'
import { startDeployment } from '../../../tools/servers/deployment.ts'

// Evidence: D4, S2, R3
t.test('messages that Redis has lost are sent again before newer messages', async t => {
  const { redis, servers } = await startDeployment(t, { nodes: 1 })
  const [server = ''] = servers
  const alice = await registerAgent(t, server, 'alice')
  const bob = await registerAgent(t, server, 'bob')
  const listening = new Promise(resolve => alice.on('listening', resolve))
  const receiving = alice.receive().next()
  receiving.catch(() => {})
  await listening
  await alice.send('bob', 'one')

  for (const key of [inboxKey('bob'), shareKey('bob'), ...seenKeys('bob')]) await redis.cli('DEL', key)
  await redis.cli('HDEL', metaKey('bob'), 'count', 'bytes', 'seen')
  const generation = new Promise(resolve => alice.on('generation', resolve))
  const disconnected = new Promise(resolve => alice.on('disconnected', resolve))
  await redis.restart()
  await disconnected
  const newer = alice.send('bob', 'two')
  await generation
  await newer

  t.same(textsOf(await receiveSome(bob, 2)), ['one', 'two'])
})
