import t from 'tap'
import { limits } from '../../../src/protocol/limits.ts'
import { RawClient } from '../../../tools/clients/raw-client.ts'
import { askUpgrade, statusOf } from '../../../tools/clients/raw-http.ts'
import { startTestNode } from '../../../tools/servers/running-node.ts'

// Evidence: W2
t.test('an upgrade without the subprotocol is refused with 400', async t => {
  const { url } = await startTestNode(t)
  for (const protocol of ['', 'aimessage.v2', 'aimessage', 'xaimessage.v1']) {
    const answer = await askUpgrade(url, { 'Sec-WebSocket-Protocol': protocol })
    t.equal(statusOf(answer), 400, protocol)
    t.match(answer, /application\/problem\+json/)
    t.match(answer, /"code":"bad_frame"/)
  }
})

t.test('the subprotocol may be one of several', async t => {
  const { url } = await startTestNode(t)
  const answer = await askUpgrade(url, { 'Sec-WebSocket-Protocol': 'other, aimessage.v1' })
  t.equal(statusOf(answer), 101)
  t.match(answer, /sec-websocket-protocol: aimessage\.v1/i)
})

// Evidence: X13, W6
t.test('an origin that is not this host is refused with 403', async t => {
  const { url } = await startTestNode(t)
  const { host, port } = new URL(url)
  const odd = [
    'https://evil.example',
    'null',
    `http://evil.example/${host}`,
    `http://${host}.evil.example`,
    `http://evil-${host}`,
    'http://localhost',
    `http://127.0.0.1:${Number(port) + 1}`,
    'file://',
    'http://[',
  ]
  for (const origin of odd) {
    const answer = await askUpgrade(url, { Origin: origin })
    t.equal(statusOf(answer), 403, origin)
    t.match(answer, /"code":"forbidden"/)
  }
  t.equal(statusOf(await askUpgrade(url, { Origin: `http://${host}` })), 101, 'the same host')
})

// Evidence: W6
t.test('if origins are listed, only those may connect', async t => {
  const { url } = await startTestNode(t, { ALLOWED_ORIGINS: 'https://app.example' })
  t.equal(statusOf(await askUpgrade(url, { Origin: 'https://app.example' })), 101)
  t.equal(statusOf(await askUpgrade(url, { Origin: 'http://app.example' })), 403)
  t.equal(statusOf(await askUpgrade(url, { Origin: `http://${new URL(url).host}` })), 403)
  t.equal(statusOf(await askUpgrade(url, {})), 101, 'a client that is no browser sends no origin')
})

// Evidence: W3
t.test('compression is never negotiated', async t => {
  const { url } = await startTestNode(t)
  const answer = await askUpgrade(url, { 'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits' })
  t.equal(statusOf(answer), 101)
  t.notMatch(answer, /permessage-deflate/i)
})

t.test('an upgrade elsewhere is refused, and a plain request for the socket too', async t => {
  const { url } = await startTestNode(t)
  t.equal(statusOf(await askUpgrade(url, {}, '/elsewhere')), 404)
  t.equal((await fetch(`${url}/ws`)).status, 400)
})

t.test('the first frame is a challenge with the domain and the limits', async t => {
  const { wsUrl } = await startTestNode(t)
  const client = await RawClient.connect(t, wsUrl)
  const { maxFrameBytes, maxBodyChars, maxUnacked, heartbeatMs } = limits
  t.match(await client.next(), {
    type: 'challenge',
    nonce: /^[A-Za-z0-9_-]{43}$/,
    domain: 'localhost',
    limits: { maxFrameBytes, maxBodyChars, maxUnacked, heartbeatMs },
  })
  const other = await RawClient.connect(t, wsUrl)
  t.not((await other.next('challenge')).nonce, (await client.find(frame => frame.type === 'challenge')).type)
})

// Evidence: L12, W15
t.test('data that is not the protocol closes with 4400', async t => {
  const { wsUrl } = await startTestNode(t)
  const raw: (string | Buffer)[] = [
    '',
    '{',
    '[]',
    'null',
    '['.repeat(60_000),
    `${'{"a":'.repeat(9)}1${'}'.repeat(9)}`,
    '{"__proto__":{"x":1}}',
    Buffer.from('{"type":"heartbeat"}'),
  ]
  for (const frame of raw) {
    const client = await RawClient.connect(t, wsUrl)
    client.socket.send(frame)
    t.equal((await client.closed).code, 4400, String(frame).slice(0, 20))
  }
})

t.test('a wrong field is an error and leaves the connection open', async t => {
  const { wsUrl } = await startTestNode(t)
  const client = await RawClient.connect(t, wsUrl)
  t.match(await client.request({ type: 'listen', id: 'x', instance: 'a b' }), {
    type: 'error',
    id: 'x',
    code: 'bad_frame',
    message: /instance/,
  })
  t.match(await client.request({ type: 'nonsense', id: 'y' }), { type: 'error', id: 'y', code: 'bad_frame' })
  t.match(await client.request({ type: 'heartbeat', id: 'z' }), { type: 'heartbeat', id: 'z' })
})

// Evidence: W19
t.test('a frame over the limit closes with 1009, one at the limit does not', async t => {
  const { wsUrl } = await startTestNode(t)
  const sized = (bytes: number) => {
    const frame = JSON.stringify({ type: 'heartbeat', id: '1', pad: '' })
    return frame.replace('"pad":""', `"pad":"${'x'.repeat(bytes - frame.length)}"`)
  }
  const client = await RawClient.connect(t, wsUrl)
  client.socket.send(sized(limits.maxFrameBytes))
  t.equal((await client.next('heartbeat')).id, '1')
  client.socket.send(sized(limits.maxFrameBytes + 1))
  t.equal((await client.closed).code, 1009)
})

// Evidence: W19
t.test('text that is not UTF-8 closes with 1007, a flood of fragments with 1008', async t => {
  const { wsUrl } = await startTestNode(t)
  const client = await RawClient.connect(t, wsUrl)
  client.socket.send(Buffer.from([0x22, 0xff, 0x22]), { binary: false })
  t.equal((await client.closed).code, 1007)
  const flood = await RawClient.connect(t, wsUrl)
  for (let index = 0; index < 200; index += 1) flood.socket.send('', { fin: false })
  t.equal((await flood.closed).code, 1008)
})

t.test('frames are answered in the order they came', async t => {
  const { wsUrl } = await startTestNode(t)
  const client = await RawClient.loggedIn(t, wsUrl)
  const from = client.received.length
  const types = ['heartbeat', 'reserve', 'list_users', 'heartbeat', 'nonsense', 'reserve', 'heartbeat']
  for (const [index, type] of types.entries()) client.send({ type, id: `n${index}`, upTo: index })
  await client.find(frame => 'id' in frame && frame.id === `n${types.length - 1}`, from)
  t.same(
    client.received.slice(from).map(frame => 'id' in frame && frame.id),
    types.map((_, index) => `n${index}`),
  )
})

t.test(
  'a connection that does not log in is closed with 4408',
  { timeout: limits.loginTimeoutMs + 20_000 },
  async t => {
    const { wsUrl } = await startTestNode(t)
    const client = await RawClient.connect(t, wsUrl)
    await client.request({ type: 'heartbeat' })
    t.equal((await client.closed).code, 4408)
  },
)
