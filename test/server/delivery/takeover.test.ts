import t, { type Test } from 'tap'
import { newUser, type Push, RawClient } from '../../../tools/clients/raw-client.ts'
import { startDeployment } from '../../../tools/servers/deployment.ts'
import { startTestNode, startTestNodes } from '../../../tools/servers/running-node.ts'

const isChained = (pushed: readonly Push[]) => pushed.every(({ prev }, index) => prev === (pushed[index - 1]?.seq ?? 0))

type Dialled = { wsUrl: string }

/** Runs a test on one node, over two nodes, and over two node processes. */
async function allWays(t: Test, run: (t: Test, first: Dialled, second: Dialled) => Promise<void>): Promise<void> {
  await t.test('on one node', async t => {
    const node = await startTestNode(t)
    await run(t, node, node)
  })
  await t.test('over two nodes', async t => {
    const [first, second] = await startTestNodes(t, 2)
    if (first && second) await run(t, first, second)
  })
  await t.test('over two processes and Redis', async t => {
    const [first, second] = (await startDeployment(t, { nodes: 2 })).nodes
    if (first && second) await run(t, first, second)
  })
}

// Evidence: P3
t.test('the later connection listens; the earlier one is closed with 4409 and the instance of the winner', t =>
  allWays(t, async (t, first, second) => {
    const user = newUser()
    const old = await RawClient.listening(t, first.wsUrl, user)
    const next = await RawClient.loggedIn(t, second.wsUrl, user)
    t.match(await next.request({ type: 'listen', instance: 'winner-7' }), { type: 'listening' })
    t.same(await old.closed, { code: 4409, reason: 'winner-7' })
    t.match(await next.request({ type: 'heartbeat' }), { type: 'heartbeat' })
  }),
)

t.test('epochs grow', t =>
  allWays(t, async (t, first, second) => {
    const user = newUser()
    const epochs: number[] = []
    for (const node of [first, second, first, second]) {
      const client = await RawClient.loggedIn(t, node.wsUrl, user)
      const answer = await client.request({ type: 'listen' })
      epochs.push(answer.type === 'listening' ? answer.epoch : 0)
    }
    t.same(
      epochs,
      [...new Set(epochs)].sort((a, b) => a - b),
    )
  }),
)

t.test('the winner gets everything that was not acknowledged, and all later messages', t =>
  allWays(t, async (t, first, second) => {
    const user = newUser()
    const alice = await RawClient.loggedIn(t, first.wsUrl)
    const old = await RawClient.listening(t, first.wsUrl, user)
    const send = (id: string) => alice.request({ type: 'send', id, to: user.username, body: 'AAAA' })
    for (const id of ['a', 'b', 'c']) await send(id)
    const pushed = await old.pushes(3)
    old.send({ type: 'ack', seq: pushed[0]?.seq })
    // An acknowledgement has no answer. The answer to `stop` comes after the acknowledgement is stored.
    await old.request({ type: 'stop' })
    t.match(await old.request({ type: 'listen' }), { queued: 2 })
    const next = await RawClient.listening(t, second.wsUrl, user)
    await old.closed
    await send('d')
    const all = await next.pushes(3)
    t.same(
      all.map(({ id }) => id),
      ['b', 'c', 'd'],
    )
    t.ok(isChained(all))
  }),
)

// Evidence: P1
t.test('a late acknowledgement of the old connection changes nothing', t =>
  allWays(t, async (t, first, second) => {
    const user = newUser()
    const alice = await RawClient.loggedIn(t, first.wsUrl)
    const old = await RawClient.listening(t, first.wsUrl, user)
    await alice.request({ type: 'send', id: 'm', to: user.username, body: 'AAAA' })
    const [push] = await old.pushes(1)
    const next = await RawClient.listening(t, second.wsUrl, user)
    old.send({ type: 'ack', seq: push?.seq })
    await old.closed
    t.same(
      (await next.pushes(1)).map(({ seq }) => seq),
      [push?.seq],
    )
    await next.request({ type: 'stop' })
    t.match(await next.request({ type: 'listen' }), { queued: 1 })
  }),
)

// Evidence: P4
t.test('a connection that only sends affects no listener', t =>
  allWays(t, async (t, first, second) => {
    const user = newUser()
    const listener = await RawClient.listening(t, first.wsUrl, user)
    const sender = await RawClient.loggedIn(t, second.wsUrl, user)
    await sender.request({ type: 'send', id: 'm', to: user.username, body: 'AAAA' })
    sender.socket.close()
    await sender.closed
    await listener.pushes(1)
    t.match(await listener.request({ type: 'heartbeat' }), { type: 'heartbeat' })
  }),
)

// Evidence: P1
t.test('the end of the old socket does not affect the claim of the new one', t =>
  allWays(t, async (t, first, second) => {
    const user = newUser()
    const alice = await RawClient.loggedIn(t, first.wsUrl)
    const old = await RawClient.listening(t, first.wsUrl, user)
    const next = await RawClient.listening(t, second.wsUrl, user)
    await old.closed
    t.match(await alice.request({ type: 'send', id: 'm', to: user.username, body: 'AAAA' }), { queued: false })
    t.equal((await next.pushes(1))[0]?.id, 'm')
  }),
)

t.test('a message sent at one node arrives at the other', async t => {
  const [first, second] = await startTestNodes(t, 2)
  if (!first || !second) return t.fail('two nodes')
  const bob = await RawClient.listening(t, second.wsUrl)
  const alice = await RawClient.loggedIn(t, first.wsUrl)
  for (let index = 0; index < 20; index += 1)
    alice.send({ type: 'send', id: `m${index}`, to: bob.user.username, body: 'AAAA' })
  const pushed = await bob.pushes(20)
  t.same(
    pushed.map(({ id }) => id),
    Array.from({ length: 20 }, (_, index) => `m${index}`),
  )
  t.ok(isChained(pushed))
})

t.test('of many connections that listen at once, the one with the highest epoch remains', async t => {
  const nodes = await startTestNodes(t, 3)
  const user = newUser()
  const clients = await Promise.all(
    Array.from({ length: 30 }, (_, index) => RawClient.loggedIn(t, nodes[index % 3]?.wsUrl ?? '', user)),
  )
  const answers = await Promise.all(clients.map(client => client.request({ type: 'listen' }).catch(() => undefined)))
  const epochs = answers.map(answer => (answer?.type === 'listening' ? answer.epoch : 0))
  const winner = epochs.indexOf(Math.max(...epochs))
  const closed = await Promise.all(clients.filter((_, index) => index !== winner).map(client => client.closed))
  t.ok(closed.every(({ code }) => code === 4409))
  t.match(await clients[winner]?.request({ type: 'heartbeat' }), { type: 'heartbeat' })
})

// Evidence: L3, X9, W9, A4
t.test('logout at one node ends the sockets of the token at the other', async t => {
  const [first, second] = await startTestNodes(t, 2)
  if (!first || !second) return t.fail('two nodes')
  const client = await RawClient.connect(t, first.wsUrl)
  const answer = await client.register(newUser())
  const token = answer.type === 'authenticated' ? answer.token : ''
  const twin = await RawClient.connect(t, second.wsUrl)
  await twin.request({ type: 'authenticate', token })
  await client.request({ type: 'logout' })
  t.equal((await twin.closed).code, 4401)
})
