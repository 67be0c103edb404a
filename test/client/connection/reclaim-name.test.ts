import t, { type Test } from 'tap'
import { type Client, openMemoryStore } from '../../../src/client/node.ts'
import { openAgent, registerAgent } from '../../../tools/clients/agents.ts'
import { HttpClient } from '../../../tools/clients/http-client.ts'
import { newIdentity, RawClient } from '../../../tools/clients/raw-client.ts'
import { startDeployment } from '../../../tools/servers/deployment.ts'

const ADMIN_TOKEN = 'canary-token-of-the-operator-0123456789'

/** An agent that listens: the messages that it received, and how listening ended. */
async function listen(t: Test, server: string, name: string) {
  const store = openMemoryStore()
  const client = await registerAgent(t, server, name, store)
  const texts: (string | undefined)[] = []
  const isThere = new Promise(resolve => client.on('listening', resolve))
  const again = new Promise(resolve => client.on('registered-again', resolve))
  const ended = receive(client, texts)
  await isThere
  return { client, store, texts, again, ended }
}

async function receive(client: Client, texts: (string | undefined)[]): Promise<unknown> {
  try {
    for await (const message of client.receive()) texts.push(message.text)
    return undefined
  } catch (error) {
    return error
  }
}

const send = async (from: Client, to: string, text: string): Promise<void> => {
  const { id } = await from.send(to, text)
  await from.confirmed(id, 'read')
}

// Evidence: R11
t.test(
  'R11: after Redis was emptied, clients register again by themselves and resend unconfirmed messages',
  async t => {
    const { redis, servers } = await startDeployment(t, { nodes: 2 })
    const [first = '', second = ''] = servers
    const alice = await listen(t, first, 'alice')
    const bob = await listen(t, second, 'bob')
    const carol = await registerAgent(t, second, 'carol')
    await alice.client.cards.publish({ title: 'Alice', capabilities: ['writing'], acceptsRequests: false })
    await send(alice.client, 'bob', 'one')
    await send(bob.client, 'alice', 'two')
    await carol.send('bob', 'hello')
    await bob.client.send('carol', 'accepted, and lost with Redis')

    await redis.cli('FLUSHALL')
    const since = performance.now()
    const answers = [send(alice.client, 'bob', 'three'), send(bob.client, 'alice', 'four')]
    await Promise.all([alice.again, bob.again])
    const tookS = (performance.now() - since) / 1_000
    t.comment(`registered again after ${tookS.toFixed(1)} s`)
    t.ok(tookS < 10)
    await Promise.all(answers)
    t.same(alice.texts, ['two', 'four'])
    t.same(bob.texts, ['one', 'hello', 'three'])
    for await (const { text } of carol.receive({ count: 1 })) t.equal(text, 'accepted, and lost with Redis')

    const stranger = await registerAgent(t, first, 'dave')
    await stranger.send('alice', 'keys are there, too')
    t.match(await stranger.cards.of('alice'), { title: 'Alice' })
  },
)

// Evidence: R11
t.test('R11: a user that an operator deleted stays deleted, also after a restart of the agent', async t => {
  const { redis, nodes, servers } = await startDeployment(t, { nodes: 1, env: { ADMIN_TOKEN } })
  const [server = ''] = servers
  const admin = new HttpClient(nodes[0]?.url ?? '', ADMIN_TOKEN)
  const alice = await listen(t, server, 'alice')
  await admin.call('DELETE', '/v1/admin/users/alice')
  t.match(await alice.ended, { code: 'forbidden', message: /deleted/ })
  await redis.cli('FLUSHALL')
  const later = await openAgent(t, server, alice.store)
  await t.rejects(later.connect(), { code: 'forbidden' }, 'a loss does not make it forget')
})

// Evidence: R11
t.test('R11: a name that another key has taken meanwhile is reported', async t => {
  const { redis, nodes, servers } = await startDeployment(t, { nodes: 1 })
  const [server = ''] = servers
  const alice = await registerAgent(t, server, 'alice')
  const isGone = new Promise(resolve => alice.on('disconnected', resolve))
  await redis.cli('FLUSHALL')
  const thief = await RawClient.connect(t, nodes[0]?.wsUrl ?? '')
  t.match(await thief.register({ username: 'alice', identity: newIdentity() }), { type: 'authenticated' })
  await isGone
  await t.rejects(alice.connect(), { code: 'username_taken' })
})
