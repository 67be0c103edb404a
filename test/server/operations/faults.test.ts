import t from 'tap'
import type { ServerFrame } from '../../../src/protocol/frames.ts'
import { limits } from '../../../src/protocol/limits.ts'
import { parseUsername } from '../../../src/protocol/names.ts'
import { openLogger } from '../../../src/server/base/logger.ts'
import { StoreUnavailableError } from '../../../src/server/store/store.ts'
import { defer } from '../../../src/util/deferred.ts'
import { identityText, isPush, newUser, RawClient } from '../../../tools/clients/raw-client.ts'
import { openTestStore, startTestNode, withFaults } from '../../../tools/servers/running-node.ts'

const codeOf = (frame: ServerFrame): string => (frame.type === 'error' ? frame.code : frame.type)

// Evidence: W23, N9
t.test('an unexpected error is internal: it is logged with the id, and the connection stays open', async t => {
  const lines: string[] = []
  const log = openLogger('error', { write: line => lines.push(line) })
  const store = withFaults(openTestStore(), {
    users: {
      list: () => {
        throw new TypeError('thrown at once')
      },
    },
    keys: {
      fetch: async () => {
        throw new TypeError('rejected')
      },
    },
  })
  const { wsUrl, url } = await startTestNode(t, {}, { log, store })
  const client = await RawClient.loggedIn(t, wsUrl)
  t.match(await client.request({ type: 'list_users', id: 'list-1' }), {
    type: 'error',
    id: 'list-1',
    code: 'internal',
    message: 'internal error',
  })
  t.match(await client.request({ type: 'fetch_keys', id: 'keys-1', username: 'somebody' }), {
    id: 'keys-1',
    code: 'internal',
  })
  t.match(await client.request({ type: 'heartbeat' }), { type: 'heartbeat' })
  t.match(
    lines.find(line => line.includes('thrown at once')),
    /"id":"list-1"/,
  )
  t.match(
    lines.find(line => line.includes('rejected')),
    /"id":"keys-1"/,
  )
  t.equal((await fetch(`${url}/health/live`)).status, 200)
})

// Evidence: D4
t.test('a store out of reach is unavailable, and a send may be repeated', async t => {
  let isDown = false
  const inner = openTestStore()
  const store = withFaults(inner, {
    inboxes: {
      append: items => (isDown ? Promise.reject(new StoreUnavailableError('gone')) : inner.inboxes.append(items)),
    },
    users: {
      list: query => (isDown ? Promise.reject(new StoreUnavailableError('gone')) : inner.users.list(query)),
    },
  })
  const { wsUrl } = await startTestNode(t, {}, { store })
  const alice = await RawClient.listening(t, wsUrl)
  const send = (id: string) => alice.request({ type: 'send', id, to: alice.user.username, body: 'AAAA' })
  isDown = true
  t.match(await send('1'), { type: 'error', id: '1', code: 'unavailable', retryAfter: Number })
  t.equal(codeOf(await alice.request({ type: 'list_users' })), 'unavailable')
  isDown = false
  t.equal(codeOf(await send('2')), 'unavailable', 'it must not overtake')
  t.equal(codeOf(await send('1')), 'accepted')
  t.equal(codeOf(await send('2')), 'accepted')
  t.same(
    (await alice.pushes(2)).map(({ id }) => id),
    ['1', '2'],
  )
})

t.test('a node whose store is not ready takes no frames but heartbeats', async t => {
  let isReady = true
  const store = withFaults(openTestStore(), { isReady: () => isReady })
  const { wsUrl, url } = await startTestNode(t, {}, { store })
  const alice = await RawClient.loggedIn(t, wsUrl)
  isReady = false
  t.equal(codeOf(await alice.request({ type: 'send', to: alice.user.username, body: 'AAAA' })), 'unavailable')
  t.equal(codeOf(await alice.request({ type: 'listen' })), 'unavailable')
  t.equal(codeOf(await alice.request({ type: 'heartbeat' })), 'heartbeat')
  t.equal((await fetch(`${url}/health/ready`)).status, 503)
  t.equal((await fetch(`${url}/health/live`)).status, 200)
  const other = await RawClient.connect(t, wsUrl)
  t.equal(codeOf(await other.register(newUser())), 'unavailable')
  await other.find(frame => frame.type === 'challenge' && other.received.indexOf(frame) > 0)
  isReady = true
  t.equal((await fetch(`${url}/health/ready`)).status, 200)
})

t.test('a node that lost its lease closes its listeners with 4503', async t => {
  const store = openTestStore()
  let notify: Parameters<typeof store.onNotice>[0] = () => {}
  const spied = withFaults(store, {
    onNotice: handler => {
      notify = handler
      store.onNotice(handler)
    },
  })
  const { wsUrl } = await startTestNode(t, {}, { store: spied })
  const bob = await RawClient.listening(t, wsUrl)
  const alice = await RawClient.loggedIn(t, wsUrl)
  notify({ kind: 'lease-lost' })
  await alice.request({ type: 'send', to: bob.user.username, body: 'AAAA' })
  t.equal((await bob.closed).code, 4503)
  t.notOk(bob.received.some(isPush), 'nothing is pushed under a lost claim')
  t.equal(codeOf(await alice.request({ type: 'heartbeat' })), 'heartbeat')
})

// Evidence: D5
t.test('lost hints only cost time: a resumed node reads every inbox', async t => {
  const store = openTestStore()
  let notify: Parameters<typeof store.onNotice>[0] = () => {}
  const deaf = withFaults(store, {
    onNotice: handler => {
      notify = handler
    },
  })
  const { wsUrl } = await startTestNode(t, {}, { store: deaf })
  const bob = await RawClient.listening(t, wsUrl)
  const alice = await RawClient.loggedIn(t, wsUrl)
  await alice.request({ type: 'send', id: 'm', to: bob.user.username, body: 'AAAA' })
  await bob.request({ type: 'heartbeat' })
  t.notOk(bob.received.some(isPush))
  notify({ kind: 'resumed' })
  t.equal((await bob.pushes(1))[0]?.id, 'm')
})

// Evidence: D3, W22, C5
t.test(
  'a client that reads nothing is closed with 4508, other clients are not delayed, and its mail is kept',
  async t => {
    const store = openTestStore()
    for (let index = 0; index < 500; index += 1) {
      await store.users.register(parseUsername(`crowd-${index}`), identityText(newUser().identity), { kind: 'open' })
    }
    const { wsUrl } = await startTestNode(t, {}, { store })
    const slow = await RawClient.listening(t, wsUrl)
    const alice = await RawClient.loggedIn(t, wsUrl)
    slow.socket.pause()
    await alice.request({ type: 'send', id: 'm', to: slow.user.username, body: 'AAAA' })
    for (let index = 0; index < 400; index += 1) slow.send({ type: 'list_users', id: `l${index}`, limit: 500 })
    t.equal(codeOf(await alice.request({ type: 'send', to: alice.user.username, body: 'AAAA' })), 'accepted')
    const isOnline = async () => (await store.users.find(parseUsername(slow.user.username)))?.online
    while (await isOnline()) await new Promise(resolve => setImmediate(resolve))
    slow.socket.resume()
    t.equal((await slow.closed).code, 4508)
    const again = await RawClient.listening(t, wsUrl, slow.user)
    t.equal((await again.pushes(1))[0]?.id, 'm')
  },
)

// Evidence: L5
t.test('a client that ignores rate_limited is closed with 4429', async t => {
  const { wsUrl } = await startTestNode(t)
  const client = await RawClient.connect(t, wsUrl)
  const frame = JSON.stringify({ type: 'heartbeat', id: 'h' })
  const flood = async () => {
    while (client.socket.readyState === client.socket.OPEN) {
      for (let index = 0; index < 500; index += 1) client.socket.send(frame)
      await new Promise(resolve => setImmediate(resolve))
    }
  }
  await Promise.all([flood(), client.closed])
  t.equal((await client.closed).code, 4429)
  const limited = client.received.filter(received => codeOf(received) === 'rate_limited')
  t.ok(limited.length > 0)
  t.match(limited[0], { id: 'h', retryAfter: Number })
})

// Evidence: L5
t.test('17.6 a user that ignores refusals is read more slowly, and takes no time from others', async t => {
  const { wsUrl } = await startTestNode(t, { PAIR_MESSAGES_PER_S: '10' })
  const [bob, alice] = [await RawClient.loggedIn(t, wsUrl), await RawClient.loggedIn(t, wsUrl)]
  const sends = limits.refusalsBurst + 3_000
  const frameOf = (id: number) => JSON.stringify({ type: 'send', id: `m${id}`, to: bob.user.username, body: 'AAAA' })
  for (let id = 0; id < sends; id += 1) alice.socket.send(frameOf(id))
  const refused = () => alice.received.filter(received => codeOf(received) === 'rate_limited').length
  while (refused() < limits.refusalsBurst) await alice.next('error')
  for (let round = 0; round < 10; round += 1) {
    t.match(await bob.request({ type: 'send', to: bob.user.username, body: 'AAAA' }), { type: 'accepted' })
  }
  t.ok(refused() < sends - 1_000, `${refused()} refusals: the others wait`)
  t.not(alice.socket.readyState, alice.socket.CLOSED)
})

// Evidence: P10
t.test('a client that hangs up frees its claim', async t => {
  const { wsUrl } = await startTestNode(t)
  const bob = await RawClient.listening(t, wsUrl)
  const alice = await RawClient.loggedIn(t, wsUrl)
  bob.socket.terminate()
  await bob.closed
  const isOnline = async () => {
    const listed = await alice.request({ type: 'list_users', prefix: bob.user.username })
    return listed.type === 'user_list' && listed.users[0]?.online
  }
  while (await isOnline()) await new Promise(resolve => setImmediate(resolve))
  t.match(await alice.request({ type: 'send', to: bob.user.username, body: 'AAAA' }), { queued: true })
})

// Evidence: U1
t.test('a node that shuts down answers the frames it took, and closes its sockets with 4503', async t => {
  const inner = openTestStore()
  const [asked, go] = [defer<void>(), defer<void>()]
  const store = withFaults(inner, {
    inboxes: {
      append: async items => {
        asked.resolve()
        await go.promise
        return inner.inboxes.append(items)
      },
    },
  })
  const { wsUrl, url, close } = await startTestNode(t, {}, { store })
  const alice = await RawClient.listening(t, wsUrl)
  alice.send({ type: 'send', id: 'm', to: alice.user.username, body: 'AAAA' })
  await asked.promise
  const closing = Promise.all([close(), close()])
  t.equal((await fetch(`${url}/health/ready`)).status, 503)
  t.equal((await fetch(`${url}/v1/users`)).status, 503)
  go.resolve()
  await closing
  t.same(await alice.closed, { code: 4503, reason: 'the node is shutting down' })
  t.ok(alice.received.some(frame => frame.type === 'accepted'))
})

// Evidence: L6
t.test('a client that keeps sending to new users while the store is out of reach is closed with 4503', async t => {
  const inner = openTestStore()
  const store = withFaults(inner, { inboxes: { append: () => Promise.reject(new StoreUnavailableError('gone')) } })
  const { wsUrl } = await startTestNode(t, {}, { store })
  const client = await RawClient.loggedIn(t, wsUrl)
  let sent = 0
  while (client.socket.readyState === client.socket.OPEN && sent < 30_000) {
    for (let index = 0; index < 250; index += 1) {
      sent += 1
      client.send({ type: 'send', id: `${sent}`, to: `user-${sent}`, body: 'AAAA' })
    }
    await Promise.race([client.closed, client.find(frame => 'id' in frame && frame.id === `${sent}`).catch(() => {})])
  }
  t.equal((await client.closed).code, 4503)
})
