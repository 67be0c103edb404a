import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import t from 'tap'
import { HttpClient } from '../../../tools/clients/http-client.ts'
import { newUser, RawClient } from '../../../tools/clients/raw-client.ts'
import { builtFile, nodeEndingWithParent } from '../../../tools/processes.ts'
import { startDeployment } from '../../../tools/servers/deployment.ts'
import { startTestNode } from '../../../tools/servers/running-node.ts'

/** The time before a container runtime kills the process. */
const graceMs = 10_000

// Evidence: U1
t.test('idle connections do not delay a shutdown', async t => {
  const { port, metricsUrl, close } = await startTestNode(t, { METRICS_PORT: '0' })
  const idle = [port, Number(new URL(metricsUrl ?? '').port)].map(each => connect(each, '127.0.0.1'))
  for (const socket of idle) {
    socket.on('error', () => {})
    await once(socket, 'connect')
  }
  const ended = Promise.all(idle.map(socket => once(socket, 'close')))
  const startedAt = performance.now()
  await close()
  t.ok(performance.now() - startedAt < graceMs)
  await ended
})

t.test(
  'an upgrade that a node refuses while it shuts down does not delay it, even if the peer never hangs up',
  async t => {
    const { port, close } = await startTestNode(t)
    const upgrade = [
      'GET /ws HTTP/1.1',
      'Host: localhost',
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
      'Sec-WebSocket-Protocol: aimessage.v1\r\n\r\n',
    ].join('\r\n')
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    t.teardown(() => socket.destroy())
    socket.on('error', () => {})
    await once(socket, 'connect')
    // In progress when the shutdown starts, so that the node does not simply close it.
    socket.write(upgrade.slice(0, 40))
    await new Promise(resolve => setTimeout(resolve, 100))
    const startedAt = performance.now()
    const closed = close()
    socket.write(upgrade.slice(40))
    const [answer] = await once(socket, 'data')
    t.match(String(answer), /^HTTP\/1.1 503 /)
    await closed
    t.ok(performance.now() - startedAt < graceMs)
  },
)

t.test('a wait for mail ends when the node shuts down', async t => {
  const { url, close } = await startTestNode(t)
  const reader = await HttpClient.loggedIn(url, newUser())
  await reader.call('GET', '/v1/inbox')
  const waiting = reader.call('GET', '/v1/inbox?wait=50')
  await reader.call('GET', '/v1/inbox')
  const startedAt = performance.now()
  await close()
  t.ok(performance.now() - startedAt < graceMs)
  t.match(await waiting, { status: 200, body: { messages: [] } })
})

t.test(
  'SIGTERM under load: accepted messages are kept, sockets close with 4503, and the process ends in time',
  async t => {
    const { nodes } = await startDeployment(t, { nodes: 2 })
    const [first, second] = nodes
    if (!first || !second) return t.fail('two nodes')
    const bob = newUser()
    const listener = await RawClient.listening(t, first.wsUrl, bob)
    const alice = await RawClient.loggedIn(t, first.wsUrl)
    for (let index = 0; index < 300; index += 1) {
      alice.send({ type: 'send', id: `m${index}`, to: bob.username, body: 'AAAA' })
    }
    await alice.find(frame => frame.type === 'accepted')
    const startedAt = performance.now()
    t.equal(await first.stop(), 0)
    t.ok(performance.now() - startedAt < graceMs)
    t.equal((await alice.closed).code, 4503)
    t.equal((await listener.closed).code, 4503)
    const accepted = alice.received.flatMap(frame => (frame.type === 'accepted' ? [frame.id] : []))
    t.ok(accepted.length > 0)
    const again = await RawClient.loggedIn(t, second.wsUrl, bob)
    const listening = await again.request({ type: 'listen' })
    t.ok(listening.type === 'listening' && listening.queued >= accepted.length)
    const pushed = new Set((await again.pushes(Math.min(accepted.length, 256))).map(({ id }) => id))
    t.same(
      accepted.slice(0, 256).filter(id => !pushed.has(id)),
      [],
    )
  },
)

t.test('18.9 SIGTERM during the start ends the node with 0, although Redis does not answer', async t => {
  const silent = createServer(socket => socket.on('error', () => {}))
  silent.listen(0, '127.0.0.1')
  await once(silent, 'listening')
  t.teardown(() => silent.close())
  const { port } = silent.address() as AddressInfo
  const asked = once(silent, 'connection')
  const child = spawn(...nodeEndingWithParent(builtFile('server/run')), {
    env: { PATH: process.env.PATH, PORT: '0', REDIS_URL: `redis://127.0.0.1:${port}` },
    stdio: 'ignore',
  })
  const exited = once(child, 'exit')
  t.teardown(() => child.kill('SIGKILL'))
  const [socket] = await asked
  child.kill('SIGTERM')
  t.same(await exited, [0, null])
  socket.destroy()
})
