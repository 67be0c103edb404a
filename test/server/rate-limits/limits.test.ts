import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { limits } from '../../../src/protocol/limits.ts'
import { parseUsername } from '../../../src/protocol/names.ts'
import { StoreUnavailableError } from '../../../src/server/store/store.ts'
import { receiveSome, registerAgent } from '../../../tools/clients/agents.ts'
import { HttpClient } from '../../../tools/clients/http-client.ts'
import { identityText, newName, newUser, RawClient } from '../../../tools/clients/raw-client.ts'
import { askUpgrade, statusOf } from '../../../tools/clients/raw-http.ts'
import { openTestStore, startTestNode, withFaults } from '../../../tools/servers/running-node.ts'

/** The frames that a client got besides the replies to its requests. */
function watch(client: Awaited<ReturnType<typeof registerAgent>>) {
  const seen = { delayed: [] as string[], disconnected: [] as number[] }
  client.on('delayed', ({ error }) => seen.delayed.push('code' in error ? String(error.code) : error.name))
  client.on('disconnected', ({ code }) => seen.disconnected.push(code))
  return seen
}

// Evidence: L5
t.test('a coordinator can write to 500 agents at once, with the largest bodies', async t => {
  const store = openTestStore()
  const { wsUrl } = await startTestNode(t, {}, { store })
  const peers = Array.from({ length: 500 }, () => newName('peer'))
  for (const peer of peers) await store.users.register(parseUsername(peer), `key of ${peer}`, { kind: 'open' })
  const coordinator = await RawClient.loggedIn(t, wsUrl)
  const body = 'A'.repeat(limits.maxBodyChars)
  for (const username of peers) coordinator.send({ type: 'fetch_keys', id: `f-${username}`, username })
  const sent = await Promise.all(peers.map(to => coordinator.request({ type: 'send', id: `m-${to}`, to, body })))
  t.same(new Set(sent.map(({ type }) => type)), new Set(['accepted']))
  const refusals = coordinator.received.flatMap(answer => (answer.type === 'error' ? [answer.code] : []))
  t.same(new Set(refusals), new Set(['no_keys']))
})

t.test("sends above a user's burst are read more slowly, and none is refused", async t => {
  const store = openTestStore({ USER_FRAMES_PER_S: '100' })
  const { wsUrl } = await startTestNode(t, { USER_FRAMES_PER_S: '100' }, { store })
  const client = await RawClient.loggedIn(t, wsUrl)
  const from = client.received.length
  const start = performance.now()
  for (let index = 0; index < 500; index += 1)
    client.send({ type: 'send', id: `m${index}`, to: `agent-${index}`, body: 'AAAA' })
  await client.find(answer => 'id' in answer && answer.id === 'm499', from)
  const elapsedS = (performance.now() - start) / 1_000
  const codes = new Set(
    client.received.slice(from).map(answer => (answer.type === 'error' ? answer.code : answer.type)),
  )
  t.same([...codes], ['unknown_user'])
  const slack = 1 + limits.uncountedShare + limits.leaseShare
  t.ok(elapsedS >= (500 - 200 * slack) / (100 * slack), `${elapsedS.toFixed(1)} s for 300 above the burst`)
})

// Evidence: L5
t.test('a client that respects retryAfter is never disconnected, and all its messages arrive', async t => {
  const { url } = await startTestNode(t, { PAIR_MESSAGES_PER_S: '5' })
  const [alice, bob] = [await registerAgent(t, url, newName('alice')), await registerAgent(t, url, newName('bob'))]
  const seen = watch(alice)
  const name = bob.account?.username ?? ''
  const sent = Promise.all(Array.from({ length: 30 }, (_, index) => alice.send(name, `${index}`)))
  const received = await receiveSome(bob, 30)
  await sent
  t.same(
    received.map(({ text }) => text),
    Array.from({ length: 30 }, (_, index) => `${index}`),
  )
  t.ok(seen.delayed.includes('rate_limited'), 'the limit was met')
  t.same(seen.disconnected, [])
})

t.test('a client that waits for retryAfter is admitted', async t => {
  const { wsUrl } = await startTestNode(t, { PAIR_MESSAGES_PER_S: '2' })
  const bob = await RawClient.loggedIn(t, wsUrl)
  const client = await RawClient.loggedIn(t, wsUrl)
  const send = (id: string) => client.request({ type: 'send', id, to: bob.user.username, body: 'AAAA' })
  let answer = await send('m')
  let at = 0
  while (answer.type === 'accepted' && at < 20) {
    at += 1
    answer = await send(`m${at}`)
  }
  t.match(answer, { type: 'error', code: 'rate_limited', retryAfter: Number })
  const retryAfter = answer.type === 'error' ? (answer.retryAfter ?? 0) : 0
  await delay(retryAfter * 1_000)
  t.match(await send(`m${at}`), { type: 'accepted' })
})

// Evidence: W20
t.test(
  'too many sends to a recipient delay no other recipient, and later sends to it wait for the refused one',
  async t => {
    const { wsUrl } = await startTestNode(t, { PAIR_MESSAGES_PER_S: '1' })
    const [bob, carol] = [await RawClient.loggedIn(t, wsUrl), await RawClient.loggedIn(t, wsUrl)]
    const client = await RawClient.loggedIn(t, wsUrl)
    const from = client.received.length
    const mail = (id: string, to: RawClient & { user: { username: string } }) =>
      client.send({ type: 'send', id, to: to.user.username, body: 'AAAA' })
    for (const id of ['b1', 'b2', 'b3', 'b4', 'b5']) mail(id, bob)
    mail('c1', carol)
    await client.find(answer => 'id' in answer && answer.id === 'c1', from)
    const answers = client.received.slice(from).map(answer => (answer.type === 'error' ? answer.code : answer.type))
    const accepted = answers.indexOf('rate_limited')
    t.ok(accepted >= 2, `${answers}`)
    t.same(new Set(answers.slice(accepted, -1)), new Set(['rate_limited']))
    t.equal(answers.at(-1), 'accepted', 'the other recipient')
    await delay(1_100)
    t.match(await client.request({ type: 'send', id: 'b6', to: bob.user.username, body: 'AAAA' }), {
      code: 'unavailable',
    })
    const refused = `b${accepted + 1}`
    await delay(1_100)
    t.match(await client.request({ type: 'send', id: refused, to: bob.user.username, body: 'AAAA' }), {
      type: 'accepted',
    })
  },
)

// Evidence: L5, X7, W20
t.test('a user has one rate over all its sockets and calls', async t => {
  const { url, wsUrl } = await startTestNode(t, { PAIR_MESSAGES_PER_S: '5' })
  const bob = await RawClient.loggedIn(t, wsUrl)
  const user = newUser()
  const sockets = [await RawClient.loggedIn(t, wsUrl, user), await RawClient.loggedIn(t, wsUrl, user)]
  const http = await HttpClient.loggedIn(url, user)
  const to = bob.user.username
  const start = performance.now()
  const overSockets = sockets.flatMap((client, at) =>
    Array.from({ length: 10 }, (_, index) => client.request({ type: 'send', id: `${at}-${index}`, to, body: 'AAAA' })),
  )
  const overHttp = Array.from({ length: 10 }, (_, index) =>
    http.call('POST', '/v1/messages', { id: `h${index}`, to, body: 'AAAA' }),
  )
  const accepted =
    (await Promise.all(overSockets)).filter(({ type }) => type === 'accepted').length +
    (await Promise.all(overHttp)).filter(({ status }) => status === 202).length
  const elapsedS = (performance.now() - start) / 1_000
  t.ok(
    accepted >= 10 && accepted <= (10 + 5 * elapsedS) * (1 + limits.uncountedShare + limits.leaseShare),
    `${accepted} of 30`,
  )
})

// Evidence: L9, API6
t.test('registrations are counted by address, over sockets and HTTP', async t => {
  const { url, wsUrl } = await startTestNode(t, { REGISTRATIONS_PER_HOUR: '3', TRUST_PROXY: '127.0.0.1' })
  const from = (address: string) => ({ headers: { 'x-forwarded-for': address } })
  const register = async (address: string) => (await RawClient.connect(t, wsUrl, from(address))).register(newUser())
  for (const host of ['1', '2', '3']) t.match(await register(`2001:db8:0:1::${host}`), { type: 'authenticated' })
  t.match(await register('2001:db8:0:1:ffff::9'), { type: 'error', code: 'rate_limited', retryAfter: Number })
  const { username, identity } = newUser()
  const unsigned = await RawClient.connect(t, wsUrl, from('2001:db8:0:1::9'))
  const frame = { type: 'register', id: 'r', username, identity: identityText(identity), signature: 'A'.repeat(86) }
  t.match(await unsigned.request(frame), { code: 'rate_limited' }, 'a refusal does not cost a check of a signature')
  t.match(await register('2001:db8:0:2::1'), { type: 'authenticated' })
  const http = new HttpClient(url)
  const user = newUser()
  const nonce = await http.nonce(user.username)
  t.ok(nonce)
  t.match(
    await register('198.51.100.1, 2001:db8:0:1::1'),
    { code: 'rate_limited' },
    'what a client claims to be is not believed',
  )
})

t.test('while the store is out of reach, registrations are refused', async t => {
  const store = withFaults(openTestStore(), {
    buckets: { lease: () => Promise.reject(new StoreUnavailableError('gone')) },
  })
  const { wsUrl } = await startTestNode(t, {}, { store })
  const client = await RawClient.connect(t, wsUrl)
  t.match(await client.register(newUser()), { type: 'error', code: 'unavailable' })
})

// Evidence: L10, W18, C15
t.test('connections are counted by address and by user', async t => {
  const env = { MAX_CONNECTIONS_PER_ADDRESS: '3', MAX_CONNECTIONS_PER_USER: '2', TRUST_PROXY: '127.0.0.1' }
  const { url, wsUrl } = await startTestNode(t, env)
  const user = newUser()
  const dial = (address: string) => RawClient.connect(t, wsUrl, { headers: { 'x-forwarded-for': address } })
  const first = await dial('192.0.2.1')
  await first.register(user)
  const second = await dial('192.0.2.1')
  t.match(await second.authenticate(user), { type: 'authenticated' })
  const third = await dial('192.0.2.1')
  t.match(await third.authenticate(user), { type: 'error', code: 'rate_limited', retryAfter: Number })
  t.match(await third.register(newUser()), { type: 'authenticated' }, 'another user may')
  t.equal(await refusedStatus(url, '192.0.2.1'), 429)
  t.equal(await refusedStatus(url, '::ffff:192.0.2.1'), 429, 'the same address, written otherwise')
  first.socket.terminate()
  await first.closed
  t.match(await (await dial('192.0.2.2')).authenticate(user), { type: 'authenticated' })
})

// Evidence: L10, W18, C15
t.test('a full node refuses new connections, and keeps the existing ones', async t => {
  const { url, wsUrl } = await startTestNode(t, { MAX_CONNECTIONS: '2' })
  const clients = [await RawClient.loggedIn(t, wsUrl), await RawClient.loggedIn(t, wsUrl)]
  t.equal(await refusedStatus(url, ''), 503)
  for (const client of clients) t.match(await client.request({ type: 'heartbeat' }), { type: 'heartbeat' })
})

// Evidence: L10, X6, W18, W21
t.test('if too many connections do not log in, the oldest is closed with 4408', async t => {
  const { wsUrl } = await startTestNode(t, { MAX_STRANGERS: '2' })
  const strangers = [await RawClient.connect(t, wsUrl), await RawClient.connect(t, wsUrl)]
  const user = await RawClient.loggedIn(t, wsUrl)
  t.equal((await strangers[0]?.closed)?.code, 4408)
  t.match(await strangers[1]?.register(newUser()), { type: 'authenticated' })
  t.match(await user.request({ type: 'heartbeat' }), { type: 'heartbeat' })
})

// Evidence: X6
t.test('a flood of frames before the login is closed with 4429', async t => {
  const { wsUrl } = await startTestNode(t)
  const client = await RawClient.connect(t, wsUrl)
  for (let index = 0; index <= limits.strangerFramesBurst + 20; index += 1) client.send({ type: 'heartbeat' })
  t.equal((await client.closed).code, 4429)
  t.match(client.received.at(-1), { type: 'error', code: 'rate_limited' })
})

t.test('invalid frames count like any other', async t => {
  const { wsUrl } = await startTestNode(t, { USER_FRAMES_PER_S: '100' })
  const client = await RawClient.loggedIn(t, wsUrl)
  const start = performance.now()
  for (let index = 0; index < 400; index += 1) client.send({ type: 'nonsense', id: `n${index}` })
  await client.find(answer => 'id' in answer && answer.id === 'n399')
  const slack = 1 + limits.uncountedShare + limits.leaseShare
  t.ok((performance.now() - start) / 1_000 >= (400 - 200 * slack) / (100 * slack))
})

for (const kind of ['ping', 'pong'] as const) {
  t.test(`a flood of ${kind}s is closed with 4429`, async t => {
    const { wsUrl } = await startTestNode(t)
    const client = await RawClient.loggedIn(t, wsUrl)
    for (let index = 0; index < limits.controlFramesBurst / 2; index += 1) client.socket[kind]()
    t.match(await client.request({ type: 'heartbeat' }), { type: 'heartbeat' }, 'some are in order')
    for (let index = 0; index < limits.controlFramesBurst; index += 1) client.socket[kind]()
    t.equal((await client.closed).code, 4429)
  })
}

// Evidence: L10, API4
t.test('a request whose headers arrive too slowly ends with 408', { timeout: 60_000 }, async t => {
  const { url } = await startTestNode(t)
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  socket.on('error', () => {})
  let answer = ''
  socket.on('data', data => {
    answer += data
  })
  const start = performance.now()
  socket.write('GET /ws HTTP/1.1\r\nhost: x\r\n')
  const dribble = setInterval(() => socket.write('x'), 500)
  await once(socket, 'close')
  clearInterval(dribble)
  t.equal(statusOf(answer), 408)
  t.ok(performance.now() - start < limits.headersTimeoutMs + 15_000)
})

/** Returns the status of the response to an upgrade from an address. */
const refusedStatus = async (url: string, address: string): Promise<number> =>
  statusOf(await askUpgrade(url, { 'X-Forwarded-For': address }))
