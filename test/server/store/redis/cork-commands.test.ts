import t from 'tap'
import { corkCommands } from '../../../../src/server/store/redis/connection/cork-commands.ts'
import { connectTo, startRedis } from '../../../../tools/servers/redis.ts'

t.test('commands of one turn are sent in one write, also after a reconnect', async t => {
  const redis = await startRedis(t)
  const client = connectTo(t, redis)
  corkCommands(client)
  for (const connection of ['first', 'second']) {
    await client.ping()
    const answers = Promise.all(['a', 'b', 'c'].map(text => client.echo(text)))
    t.equal(client.stream.writableCorked, 1, connection)
    t.ok(client.stream.writableLength > 0, 'nothing was sent yet')
    await new Promise(resolve => process.nextTick(resolve))
    t.equal(client.stream.writableCorked, 0)
    t.same(await answers, ['a', 'b', 'c'])
    client.disconnect(true)
    await new Promise(resolve => client.once('ready', resolve))
  }
})

t.test('a command without a connection is still refused', async t => {
  const redis = await startRedis(t)
  const client = connectTo(t, redis)
  corkCommands(client)
  await client.ping()
  client.options.enableOfflineQueue = false
  client.disconnect()
  await t.rejects(client.ping())
})
