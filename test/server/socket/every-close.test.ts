import t, { type Test } from 'tap'
import { type CloseReason, closeCodes } from '../../../src/protocol/errors.ts'
import { limits } from '../../../src/protocol/limits.ts'
import { parseUsername } from '../../../src/protocol/names.ts'
import { type Closed, newUser, RawClient } from '../../../tools/clients/raw-client.ts'
import { openTestStore, startTestNode, withFaults } from '../../../tools/servers/running-node.ts'

const longName = parseUsername('x'.repeat(32))
const bigPage = {
  users: Array.from({ length: 500 }, () => ({ username: longName, online: false, lastSeenAt: 0 })),
  cursor: null,
  looked: 0,
}

/** Provokes each close code of the table. The compiler checks that none is missing. */
const provocations: Record<CloseReason, (t: Test) => Promise<Closed>> = {
  logout: async t => {
    const client = await RawClient.loggedIn(t, (await startTestNode(t)).wsUrl)
    await client.request({ type: 'logout' })
    return client.closed
  },
  frameTooLarge: async t => {
    const client = await RawClient.connect(t, (await startTestNode(t)).wsUrl)
    client.socket.send('x'.repeat(limits.maxFrameBytes + 1))
    return client.closed
  },
  notTheProtocol: async t => {
    const client = await RawClient.connect(t, (await startTestNode(t)).wsUrl)
    client.socket.send('hello')
    return client.closed
  },
  unauthorized: async t => {
    const client = await RawClient.connect(t, (await startTestNode(t)).wsUrl)
    for (let attempt = 0; attempt < limits.maxLoginFailures; attempt += 1) await client.authenticate(newUser())
    return client.closed
  },
  loginTimeout: async t => (await RawClient.connect(t, (await startTestNode(t)).wsUrl)).closed,
  replaced: async t => {
    const { wsUrl } = await startTestNode(t)
    const user = newUser()
    const client = await RawClient.listening(t, wsUrl, user)
    await RawClient.listening(t, wsUrl, user)
    return client.closed
  },
  rateLimited: async t => {
    const client = await RawClient.connect(t, (await startTestNode(t)).wsUrl)
    while (client.socket.readyState === client.socket.OPEN) {
      for (let index = 0; index < 500; index += 1) client.send({ type: 'heartbeat' })
      await new Promise(resolve => setImmediate(resolve))
    }
    return client.closed
  },
  draining: async t => {
    const { wsUrl, close } = await startTestNode(t)
    const client = await RawClient.loggedIn(t, wsUrl)
    await close()
    return client.closed
  },
  slowConsumer: async t => {
    const store = withFaults(openTestStore(), { users: { list: async () => bigPage } })
    const { wsUrl, metricsUrl } = await startTestNode(t, { METRICS_PORT: '0' }, { store })
    const client = await RawClient.loggedIn(t, wsUrl)
    client.socket.pause()
    for (let index = 0; index < 400; index += 1) client.send({ type: 'list_users', id: `l${index}` })
    while ((await (await fetch(metricsUrl ?? '')).text()).includes('aimessage_connections 1')) {
      await new Promise(resolve => setImmediate(resolve))
    }
    client.socket.resume()
    return client.closed
  },
}

for (const [reason, { code }] of Object.entries(closeCodes)) {
  const provoke = Object.entries(provocations).find(([name]) => name === reason)?.[1]
  // Evidence: P11, W21
  t.test(`${reason} closes with ${code}`, async t => {
    t.equal((await provoke?.(t))?.code, code)
  })
}
