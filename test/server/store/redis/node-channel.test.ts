import t, { type Test } from 'tap'
import { parseUsername } from '../../../../src/protocol/names.ts'
import { connect } from '../../../../src/server/store/redis/connection/connect.ts'
import { ServerSubscription } from '../../../../src/server/store/redis/connection/subscription.ts'
import { NodeChannel } from '../../../../src/server/store/redis/nodes/node-channel.ts'
import type { Envelope, Notice } from '../../../../src/server/store/store.ts'
import { type RedisProcess, startRedis } from '../../../../tools/servers/redis.ts'
import { until } from '../contract/world.ts'

const alice = parseUsername('alice')
const envelope = (seq: number, body: string): Envelope => ({
  seq,
  prev: seq - 1,
  id: `m${seq}`,
  from: alice,
  kind: 'message',
  body,
  sentAt: 0,
})
const hint = (seq: number, body = 'AAAA'): Notice => ({
  kind: 'appended',
  username: alice,
  epoch: 1,
  envelope: envelope(seq, body),
})

async function startChannel(t: Test, redis: RedisProcess, own: string) {
  const heard: Notice[] = []
  const unreachable: string[] = []
  const [commands, subscriber] = await Promise.all([
    connect(redis.url, 'commands', () => {}),
    connect(redis.url, 'hints', () => {}),
  ])
  const publish = (name: string, text: string) => commands.publish(name, text)
  const notifySelf = (notice: Notice) => void heard.push(notice)
  const channel = new NodeChannel({
    own,
    publish,
    subscription: new ServerSubscription(subscriber),
    notifySelf,
    onUnreachable: node => void unreachable.push(node),
  })
  await channel.start()
  t.teardown(() => {
    channel.close()
    commands.disconnect()
    subscriber.disconnect()
  })
  return { channel, heard, unreachable, subscriber }
}

t.test("notices reach their node unchanged and in order; a node's own notices do not use Redis", async t => {
  const redis = await startRedis(t)
  const [a, b] = await Promise.all([startChannel(t, redis, 'a'), startChannel(t, redis, 'b')])
  a.channel.notify('b', [hint(1), hint(2)])
  a.channel.notify('b', [hint(3)])
  a.channel.notify('a', [hint(4)])
  t.same(a.heard, [hint(4)])
  await until(() => b.heard.length === 3, 'three notices have arrived')
  t.same(b.heard, [hint(1), hint(2), hint(3)])
})

t.test('a publish to a node without a subscription is reported', async t => {
  const redis = await startRedis(t)
  const a = await startChannel(t, redis, 'a')
  a.channel.notify('gone', [hint(1)])
  await until(() => a.unreachable.length === 1, 'the publish reached no subscriber')
  t.same(a.unreachable, ['gone'])
  t.same(a.heard, [{ kind: 'unheard', why: 'no subscriber' }])
})

t.test('a subscription that was cut is restored and reports it', async t => {
  const redis = await startRedis(t)
  const [a, b] = await Promise.all([startChannel(t, redis, 'a'), startChannel(t, redis, 'b')])
  await redis.cli('CLIENT', 'KILL', 'TYPE', 'pubsub')
  await until(() => b.heard.some(({ kind }) => kind === 'resumed'), 'the subscription is back')
  a.channel.notify('b', [hint(1)])
  await until(() => b.heard.some(({ kind }) => kind === 'appended'), 'hints arrive again')
})

t.test(
  'notices waiting for a slow Redis are bounded; once they are sent, the other node learns that some are missing',
  async t => {
    const redis = await startRedis(t)
    const [a, b] = await Promise.all([startChannel(t, redis, 'a'), startChannel(t, redis, 'b')])
    const body = 'A'.repeat(100_000)
    await redis.kill('SIGSTOP')
    for (let seq = 1; seq <= 100; seq += 1) a.channel.notify('b', [hint(seq, body)])
    await redis.kill('SIGCONT')
    const lost = a.heard.filter(({ kind }) => kind === 'unheard').length
    t.ok(lost > 50 && lost < 70, `${lost} of 100 were dropped: 4 MiB wait`)
    await until(() => b.heard.some(({ kind }) => kind === 'resumed'), 'the node is told to check its inboxes')
    t.equal(b.heard.filter(({ kind }) => kind === 'appended').length, 100 - lost)
    a.channel.notify('b', [hint(101)])
    await until(
      () => b.heard.some(notice => notice.kind === 'appended' && notice.envelope?.seq === 101),
      'later hints arrive',
    )
  },
)
