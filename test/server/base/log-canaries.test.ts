import { randomBytes } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { HttpClient } from '../../../tools/clients/http-client.ts'
import { identityText, newUser, RawClient } from '../../../tools/clients/raw-client.ts'
import { startNodeProcess } from '../../../tools/servers/node.ts'
import { freePort, startRedis } from '../../../tools/servers/redis.ts'
import { nodeUser } from '../../../tools/servers/redis-acl.ts'
import { findBytes } from '../../fixtures/find-bytes.ts'

/**
 * Secrets sent to a node, in the wrong place or in the right one. The test searches for each, as it is, in hex and in
 * base64.
 */
const planted: { what: string; bytes: Buffer }[] = []
/** Creates a canary: 32 bytes as base64url, valid as a token, a nonce, a key or an invite. */
function canary(what: string): string {
  const bytes = randomBytes(32)
  planted.push({ what, bytes })
  return bytes.toString('base64url')
}
/** Adds a secret that the node created. */
function keep(what: string, secret: unknown): string {
  planted.push({ what, bytes: Buffer.from(String(secret), 'base64url') })
  return String(secret)
}
const long = (text: string) => text.repeat(2).slice(0, 86)

/** The text of every error that a node sent. */
const answers: string[] = []

const adminToken = canary('the token of the operator')
const redisPassword = canary('the password of Redis')
const redis = await startRedis(t, { config: { appendfsync: 'always', 'aof-use-rdb-preamble': 'no' } })
await redis.cli('ACL', ...nodeUser(redisPassword))
const env = {
  REDIS_URL: `redis://aimessage:${redisPassword}@127.0.0.1:${redis.port}`,
  ADMIN_TOKEN: adminToken,
  REGISTRATION: 'invite',
  LOG_LEVEL: 'trace',
}
const metricsPorts = [await freePort(), await freePort()] as const
const start = (port: number) => startNodeProcess(t, { ...env, METRICS_PORT: String(port) })
const nodes = [await start(metricsPorts[0]), await start(metricsPorts[1])] as const
const [node, other] = nodes
const logs = () => nodes.flatMap(one => one.logs()).join('\n')

const admin = new HttpClient(node.url, adminToken)
const alice = newUser('alice')
const http = new HttpClient(node.url)

/** Sends a frame and records the reply. Opens a new connection if the frame closed the old one. */
async function provoke(client: RawClient, raw: string | Uint8Array, { binary = false } = {}): Promise<void> {
  const from = client.received.length
  client.socket.send(raw, { binary })
  await Promise.race([client.find(({ type }) => type === 'error', from).catch(() => {}), client.closed])
  const { reason } = client.socket.readyState === client.socket.OPEN ? { reason: '' } : await client.closed
  answers.push(reason, ...client.received.slice(from).map(frame => JSON.stringify(frame)))
}

async function ask(client: HttpClient, ...call: Parameters<HttpClient['call']>): Promise<number> {
  const { status, body } = await client.call(...call)
  if (status >= 400) answers.push(JSON.stringify(body))
  return status
}

const metricsOn = async (port: number): Promise<string> => (await fetch(`http://127.0.0.1:${port}/metrics`)).text()

t.test('a client uses secrets', async t => {
  const { body: invite } = await admin.call('POST', '/v1/admin/invites', {})
  const registered = await http.register(alice, keep('an invite', invite.invite))
  t.equal(registered.status, 201)
  http.token = keep('a token', registered.body.token)
  const socket = await RawClient.connect(t, other.wsUrl)
  const entered = await socket.authenticate(alice)
  keep('a token of a socket', entered.type === 'authenticated' ? entered.token : '')
  t.match(await socket.request({ type: 'send', to: 'alice', body: 'AAAA' }), { type: 'accepted' })
})

t.test('refused frames with a secret in each field', async t => {
  const frames: (string | Uint8Array)[] = [
    canary('no JSON'),
    `{"type":"send","id":"${canary('cut off')}`,
    `[["${canary('no object')}"]]`,
    `${'['.repeat(20)}"${canary('too deep')}"${']'.repeat(20)}`,
    Buffer.concat([Buffer.from('{"type":"'), Buffer.from([0xff, 0xfe]), Buffer.from(canary('no UTF-8'))]),
    JSON.stringify({ type: canary('an unknown type'), id: 'i1' }),
    JSON.stringify({ [canary('an unknown field')]: 1, type: 'send', id: 'i2' }),
    `{"__proto__":{"x":"${canary('a prototype')}"},"type":"heartbeat","id":"i3"}`,
    JSON.stringify({ type: 'heartbeat', id: `${canary('an id')} with spaces` }),
    JSON.stringify({ type: 'send', id: 'i4', to: `${canary('a recipient')}!`, body: 'AAAA' }),
    JSON.stringify({ type: 'send', id: 'i5', to: 'alice', body: `${canary('a body')} !` }),
    JSON.stringify({ type: 'send', id: 'i6', to: 'alice', body: canary('a body too large').repeat(2_900) }),
    JSON.stringify({ type: 'send', id: 'i7', to: 'nobody-here', body: canary('a body for nobody') }),
    JSON.stringify({ type: 'send', id: 'i8', to: `alice@${canary('a domain')}`, body: 'AAAA' }),
    JSON.stringify({ type: 'send', id: 'i9', to: 'alice', body: 'AAAA', ttl: canary('a ttl') }),
    JSON.stringify({ type: 'list_users', id: 'i10', cursor: canary('a cursor') }),
    JSON.stringify({ type: 'publish_keys', id: 'i11', bundle: canary('a bundle') }),
    JSON.stringify({ type: 'end_sessions', id: 'i12', session: canary('a session').slice(0, 43) }),
    JSON.stringify({ type: 'register', id: 'i13', username: 'x', identity: canary('an identity'), signature: 'x' }),
    Buffer.from(canary('a binary frame')),
  ]
  for (const [at, frame] of frames.entries()) {
    const client = new RawClient(node.wsUrl)
    t.teardown(() => client.socket.terminate())
    await client.authenticate(alice)
    await provoke(client, frame, { binary: at === frames.length - 1 })
  }
  const raw = await RawClient.connect(t, node.wsUrl)
  await provoke(raw, JSON.stringify({ type: 'authenticate', id: 'j1', token: canary('a token of nobody') }))
  await provoke(
    raw,
    JSON.stringify({ type: 'authenticate', id: 'j2', username: 'alice', signature: long(canary('a signature')) }),
  )
  const invited = { identity: identityText(newUser().identity), signature: long(canary('another signature')) }
  await provoke(
    raw,
    JSON.stringify({ type: 'register', id: 'j3', username: 'bob', ...invited, invite: canary('a wrong invite') }),
  )
  t.ok(answers.length > 20)
})

t.test('refused requests with a secret in each part', async t => {
  const wrong = () => new HttpClient(node.url, canary('a bearer'))
  t.equal(await ask(wrong(), 'GET', '/v1/users'), 401)
  t.equal(await ask(wrong(), 'GET', '/v1/admin/nodes'), 401)
  t.equal(
    await ask(new HttpClient(node.url), 'GET', '/v1/users', undefined, { authorization: `Basic ${canary('basic')}` }),
    401,
  )
  t.equal(await ask(http, 'GET', `/v1/${canary('a path')}?token=${canary('a query')}`), 404)
  t.equal(
    await ask(http, 'GET', `/v1/users?cursor=${canary('a cursor over HTTP')}&token=${canary('a token in a query')}`),
    400,
  )
  t.equal(await ask(http, 'GET', `/v1/users/${canary('a name in a path')}`), 400)
  t.equal(await ask(http, 'PATCH', `/v1/users/${canary('another method')}`), 405)
  t.equal(
    await ask(http, 'POST', '/v1/messages', { id: 'm', to: 'nobody-here', body: canary('a body over HTTP') }),
    404,
  )
  t.equal(await ask(http, 'POST', '/v1/messages', `{"id":"m","body":"${canary('no JSON over HTTP')}`), 400)
  const odd = { 'content-type': `text/${canary('a content type')}`, cookie: `session=${canary('a cookie')}` }
  t.equal(await ask(http, 'POST', '/v1/messages', canary('another type'), odd), 415)
  const login = { username: 'alice', nonce: canary('a nonce'), signature: long(canary('a signature over HTTP')) }
  t.equal(await ask(http, 'POST', '/v1/auth/token', login), 401)
  t.equal(
    await ask(http, 'DELETE', '/v1/users/alice', { nonce: canary('a nonce to delete'), signature: login.signature }),
    401,
  )
  const upgrade = new RawClient(`${node.wsUrl}?token=${canary('a token in the URL of a socket')}`, {
    headers: { origin: `https://${canary('an origin').toLowerCase().replaceAll(/[_-]/g, 'x')}.example` },
  })
  await upgrade.closed
  const operator = (method: string, path: string, body?: unknown) => ask(admin, method, path, body)
  t.equal(await operator('DELETE', `/v1/admin/invites/${canary('an invite in place of its id')}`), 404)
  t.equal(await operator('GET', `/v1/admin/users/${canary('a user of the operator')}`), 400)
  t.equal(await operator('POST', '/v1/admin/invites', { expiresIn: canary('a time') }), 400)
  t.equal(await operator('PUT', `/v1/admin/nodes/${canary('a node')}/drain`), 404)
})

t.test('a Redis that refuses, hangs, and is gone', async t => {
  const client = await RawClient.loggedIn(t, other.wsUrl, alice)
  const send = (id: string) => {
    const frame = { type: 'send', id, to: 'alice', body: canary(`the body of ${id}`) }
    return provoke(client, JSON.stringify(frame))
  }
  const loginOver = (what: string) =>
    ask(http, 'POST', '/v1/auth/token', {
      username: 'alice',
      nonce: canary(what),
      signature: long(canary(`signature, ${what}`)),
    })
  await redis.cli('ACL', 'SETUSER', 'aimessage', '-xadd', '-getdel')
  await send('without-right')
  await loginOver('without right')
  await redis.cli('ACL', 'SETUSER', 'aimessage', '+xadd', '+getdel')
  await redis.cli('RENAME', 'aim:{alice}:inbox', 'aim:kept')
  await redis.cli('SET', 'aim:{alice}:inbox', 'no stream')
  await send('of-another-type')
  await redis.cli('DEL', 'aim:{alice}:inbox')
  await redis.cli('CONFIG', 'SET', 'maxmemory', '1')
  await send('when-full')
  await ask(admin, 'POST', '/v1/admin/invites', {})
  await redis.cli('CONFIG', 'SET', 'maxmemory', '0')
  await redis.kill('SIGSTOP')
  await Promise.all([send('while-stopped'), loginOver('while stopped')])
  await redis.kill('SIGCONT')
  await redis.kill('SIGKILL')
  await loginOver('while gone')
  await send('while-gone')
  t.match(answers.at(-1) ?? '', /unavailable|4503|lost|/)
  await redis.restart()
})

// Evidence: X3, X5, W10, W24, API8
t.test('no secret is in a log, a metric, an error, or Redis', async t => {
  const metrics = await Promise.all(metricsPorts.map(metricsOn))
  for (const one of nodes) await one.stop()
  const files = join(redis.dir, 'appendonlydir')
  const written = await Promise.all((await readdir(files)).map(name => readFile(join(files, name))))
  const places = {
    'the logs': Buffer.from(logs()),
    'the metrics': Buffer.from(metrics.join('\n')),
    'the errors that were answered': Buffer.from(answers.join('\n')),
    'what was written to Redis': Buffer.concat(written),
  }
  t.ok(planted.length > 60, `${planted.length} canaries are looked for`)
  t.ok(places['the logs'].length > 1_000 && places['the errors that were answered'].length > 2_000)
  t.match(places['the metrics'].toString(), /aimessage_errors_total/)
  t.ok(places['what was written to Redis'].includes('aim:{alice}:user'), 'the search finds values that are present')
  for (const [place, haystack] of Object.entries(places)) {
    const found = planted.filter(({ bytes }) => findBytes(haystack, bytes)).map(({ what }) => what)
    t.same(found, [], `in ${place}`)
  }
})
