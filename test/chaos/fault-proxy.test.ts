import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { dialPort } from '../../tools/net/balancer.ts'
import { FaultProxy } from '../../tools/net/fault-proxy.ts'
import { listenOnLoopback } from '../../tools/net/listen.ts'

/** An echo server, a proxy in front of it, and a client of the proxy. */
async function start(t: Test) {
  const accepted: Socket[] = []
  const server = createServer(socket => {
    accepted.push(socket)
    socket.on('error', () => {})
    socket.pipe(socket)
  })
  const port = await listenOnLoopback(server)
  const proxy = await FaultProxy.listen(() => dialPort(port))
  t.teardown(async () => {
    await proxy.close()
    for (const socket of accepted) socket.destroy()
    server.close()
  })
  return { proxy, server, client: await dial(t, proxy) }
}

async function dial(t: Test, proxy: FaultProxy): Promise<Socket> {
  const client = connect(proxy.port, '127.0.0.1')
  t.teardown(() => client.destroy())
  await once(client, 'connect')
  return client
}

const ended = (client: Socket): Promise<string> =>
  new Promise(resolve => {
    client.on('error', error => resolve('code' in error ? String(error.code) : error.message))
    client.on('close', () => resolve('closed'))
    client.resume()
  })

async function say(client: Socket, text: string): Promise<string> {
  client.write(text)
  const [answer] = await once(client, 'data')
  return String(answer)
}

t.test('bytes pass through', async t => {
  const { client, proxy } = await start(t)
  t.equal(await say(client, 'one'), 'one')
  t.equal(proxy.connections, 1)
})

t.test('during a pause no data passes, and afterwards all of it does', async t => {
  const { client, proxy } = await start(t)
  await say(client, 'one')
  proxy.set({ kind: 'pause' })
  client.write('two')
  let heard = ''
  client.on('data', data => {
    heard += data
  })
  // Data that is not paused would have arrived by then.
  await new Promise(resolve => setTimeout(resolve, 100))
  t.equal(heard, '')
  const answer = once(client, 'data')
  proxy.set({ kind: 'pass' })
  await answer
  t.equal(heard, 'two')
})

t.test('one direction is swallowed and counted, and the other one passes', async t => {
  const { client, proxy } = await start(t)
  await say(client, 'one')
  proxy.set({ kind: 'swallow', direction: 'up' })
  client.write('two')
  while (proxy.lost === 0) await new Promise(resolve => setImmediate(resolve))
  t.equal(proxy.lost, 3)
  proxy.set({ kind: 'pass' })
  t.equal(await say(client, 'three'), 'three')
})

t.test('open and new connections are reset', async t => {
  const { client, proxy } = await start(t)
  await say(client, 'one')
  const end = ended(client)
  proxy.set({ kind: 'rst' })
  t.equal(await end, 'ECONNRESET')
  t.equal(await ended(await dial(t, proxy)), 'ECONNRESET')
  proxy.set({ kind: 'pass' })
  t.equal(await say(await dial(t, proxy), 'two'), 'two')
})

t.test('a connection is cut in the middle of its data', async t => {
  const { client, proxy } = await start(t)
  await say(client, 'one')
  let heard = ''
  client.on('data', data => {
    heard += data
  })
  const end = ended(client)
  proxy.set({ kind: 'cut', afterBytes: 0 })
  client.write('0123456789')
  t.equal(await end, 'ECONNRESET')
  t.ok(heard.length < 10, 'a part is missing')
  t.ok(proxy.lost > 0)
})

t.test('bytes are delayed and stay in order', async t => {
  const { client, proxy } = await start(t)
  await say(client, 'one')
  proxy.set({ kind: 'delay', ms: 50 })
  const since = performance.now()
  t.equal(await say(client, 'two'), 'two')
  t.ok(performance.now() - since >= 95, 'both ways are late')
})

t.test('bytes sent after delayed bytes do not overtake them', async t => {
  const { client, proxy } = await start(t)
  await say(client, 'one')
  let heard = ''
  client.on('data', data => {
    heard += data
  })
  proxy.set({ kind: 'delay', ms: 50 })
  client.write('first')
  await new Promise(resolve => setImmediate(resolve))
  proxy.set({ kind: 'pass' })
  client.write('second')
  while (heard.length < 11) await once(client, 'data')
  t.equal(heard, 'firstsecond')
})

t.test('the end of one side of a connection ends the other', async t => {
  const { client, proxy } = await start(t)
  await say(client, 'one')
  const end = ended(client)
  client.end()
  t.equal(await end, 'closed')
  while (proxy.connections > 0) await new Promise(resolve => setImmediate(resolve))
  t.equal(proxy.connections, 0)
})
