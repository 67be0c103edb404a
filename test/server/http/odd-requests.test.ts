import t from 'tap'
import { HttpClient } from '../../../tools/clients/http-client.ts'
import { newUser, RawClient } from '../../../tools/clients/raw-client.ts'
import { askRaw, problemIn, sayRaw, statusOf } from '../../../tools/clients/raw-http.ts'
import { startTestNode } from '../../../tools/servers/running-node.ts'

// Evidence: D13, W16
t.test('a name in a path is valid or a problem, however it is written', async t => {
  const { url } = await startTestNode(t)
  const { token } = await HttpClient.loggedIn(url, newUser())
  const odd: [string, number, string][] = [
    ['%zz', 400, 'bad_frame'],
    ['%ff', 400, 'bad_frame'],
    ['%00', 400, 'invalid_username'],
    ['', 400, 'invalid_username'],
    ['..%2f..', 400, 'invalid_username'],
    ['bob%2fkeys', 400, 'invalid_username'],
    ['bob:inbox', 400, 'invalid_username'],
    ['bo*', 400, 'invalid_username'],
    ['BOB', 400, 'invalid_username'],
    ['b%C3%B6b', 400, 'invalid_username'],
    ['__proto__', 400, 'invalid_username'],
    ['bob%40localhost', 404, 'unknown_user'],
    ['bob@other.example', 404, 'unknown_user'],
    [`bob@${'long.'.repeat(43)}example`, 404, 'unknown_user'],
    ['a'.repeat(300), 414, 'bad_frame'],
  ]
  for (const [name, status, code] of odd) {
    const answer = await askRaw(url, 'GET', `/v1/users/${name}`, { authorization: `Bearer ${token}` })
    t.match({ status: statusOf(answer), ...problemIn(answer) }, { status, code }, name)
  }
})

// Evidence: L12
t.test('an invalid HTTP request gets a problem too', async t => {
  const { url } = await startTestNode(t)
  const long = 'x'.repeat(40_000)
  const odd: [string, number][] = [
    ['HELLO\r\n\r\n', 400],
    ['GET /health/live HTTP/1.1\r\nconnection: close\r\n\r\n', 400],
    [`GET /v1/users HTTP/1.1\r\nhost: x\r\nlong: ${long}\r\n\r\n`, 431],
    ['POST /v1/users HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n', 400],
    ['GET /v1/users/\u00e9 HTTP/1.1\r\nhost: x\r\n\r\n', 400],
  ]
  for (const [text, status] of odd) {
    const answer = await sayRaw(url, text)
    t.equal(statusOf(answer), status, text.slice(0, 40))
    t.match(problemIn(answer), { status, code: 'bad_frame', title: String }, text.slice(0, 40))
  }
})

t.test('a query is checked, repeated or not', async t => {
  const { url } = await startTestNode(t)
  const client = await HttpClient.loggedIn(url, newUser())
  const wrong = [
    'users?limit=1&limit=2',
    'users?limit=',
    'users?limit=NaN',
    'users?online=',
    'users?cursor=a&cursor=b',
    'users?prefix=%00',
    'inbox?wait=-1',
    'inbox?limit=0',
    'inbox?limit=9007199254740993',
  ]
  for (const path of wrong) t.match(await client.call('GET', `/v1/${path}`), { status: 400 }, path)
  t.match(await client.call('GET', '/v1/users?__proto__[x]=1&constructor=2'), { status: 200 })
  const innocent: Record<string, unknown> = {}
  t.equal(innocent.x, undefined)
})

t.test('invalid numbers in an acknowledgement change nothing', async t => {
  const { url } = await startTestNode(t)
  const bob = newUser()
  const reader = await HttpClient.loggedIn(url, bob)
  await reader.call('POST', '/v1/messages', { id: 'm', to: bob.username, body: 'AAAA' })
  const { epoch } = (await reader.call('GET', '/v1/inbox')).body
  for (const seq of ['-1', '1.5', '"1"', 'null', '9007199254740992', '1e400', '[1]', '{}', 'true']) {
    const answer = await reader.call('POST', '/v1/inbox/ack', `{"seq":${seq},"epoch":${epoch}}`)
    t.match(answer, { status: 400, body: { code: 'bad_frame' } }, seq)
  }
  t.match(await reader.call('POST', '/v1/inbox/ack', `{"seq":9007199254740991,"epoch":${epoch}}`), {
    body: { code: 'bad_ack' },
  })
  t.match((await reader.call('GET', '/v1/inbox')).body, { queued: 1 })
})

const upgrade = {
  connection: 'Upgrade',
  upgrade: 'WebSocket',
  'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
  'sec-websocket-version': '13',
  'sec-websocket-protocol': 'aimessage.v1',
}

t.test('no other route accepts an upgrade, or runs its handler for one', async t => {
  const { url, wsUrl } = await startTestNode(t)
  const user = newUser()
  const { token } = await HttpClient.loggedIn(url, user)
  for (const path of ['/v1/users', '/v1/inbox', '/health/live', '/openapi.json']) {
    const answer = await askRaw(url, 'GET', path, { ...upgrade, authorization: `Bearer ${token}` })
    t.match({ status: statusOf(answer), ...problemIn(answer) }, { status: 404, code: 'not_found' }, path)
  }
  const other = await RawClient.loggedIn(t, wsUrl)
  const sent = await other.request({ type: 'send', to: user.username, body: 'AAAA' })
  t.match(sent, { type: 'accepted', queued: true }, 'the inbox is not claimed')
})

// Evidence: W2
t.test('an invalid handshake ends without a socket', async t => {
  const { url } = await startTestNode(t, { METRICS_PORT: '0' })
  const wrong: [string, Record<string, string>][] = [
    ['GET', { 'sec-websocket-key': 'x' }],
    ['GET', { 'sec-websocket-version': '7' }],
    ['GET', { upgrade: 'h2c' }],
    ['GET', { 'sec-websocket-protocol': 'aimessage.v1,,' }],
    ['POST', {}],
  ]
  for (const [method, headers] of wrong) {
    const status = statusOf(await askRaw(url, method, '/ws', { ...upgrade, ...headers }))
    t.ok(status >= 400 && status < 500, `${method} ${JSON.stringify(headers)} is ${status}`)
  }
  t.equal((await fetch(`${url}/health/live`)).status, 200)
})

// Evidence: L5
t.test('calls of one user are limited, and other users are not affected', async t => {
  const { url } = await startTestNode(t)
  const [busy, calm] = [await HttpClient.loggedIn(url, newUser()), await HttpClient.loggedIn(url, newUser())]
  let limited = await busy.call('GET', '/v1/users?limit=1')
  for (let index = 0; index < 100 && limited.status !== 429; index += 1) {
    const answers = await Promise.all(Array.from({ length: 25 }, () => busy.call('GET', '/v1/users?limit=1')))
    limited = answers.find(({ status }) => status === 429) ?? limited
  }
  t.match(limited, { status: 429, body: { code: 'rate_limited', retryAfter: Number } })
  t.match(await calm.call('GET', '/v1/users?limit=1'), { status: 200 })
})
