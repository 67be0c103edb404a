import { once } from 'node:events'
import { connect } from 'node:net'
import { Validator } from '@seriousme/openapi-schema-validator'
import t from 'tap'
import { adminRoutes, adminSchemas } from '../../../src/protocol/admin-http.ts'
import { httpRoutes, httpSchemas } from '../../../src/protocol/http.ts'
import { limits } from '../../../src/protocol/limits.ts'
import { HttpClient } from '../../../tools/clients/http-client.ts'
import { identityText, newIdentity, newName, newUser, prove, RawClient } from '../../../tools/clients/raw-client.ts'
import { startTestNode } from '../../../tools/servers/running-node.ts'

const problem = (status: number, code: string) => ({
  status,
  body: { type: 'about:blank', title: String, status, code, detail: String },
})

t.test('registering a name returns 201, and 200 when repeated with the same key', async t => {
  const { url } = await startTestNode(t)
  const user = newUser()
  const client = new HttpClient(url)
  t.match(await client.register(user), {
    status: 201,
    body: { username: user.username, token: /^[\w-]{43}$/, expiresAt: Number },
  })
  t.match(await client.register(user), { status: 200, body: { username: user.username } })
  t.match(await client.register({ username: user.username, identity: newIdentity() }), problem(409, 'username_taken'))
  t.match(await client.login(user), { status: 200, body: { username: user.username, token: /^[\w-]{43}$/ } })
})

t.test('challenges look alike for known and unknown names', async t => {
  const { url } = await startTestNode(t)
  const user = newUser()
  const client = await HttpClient.loggedIn(url, user)
  const answers = await Promise.all(
    [user.username, newName()].map(username => client.call('POST', '/v1/auth/challenge', { username })),
  )
  for (const { status, body } of answers) {
    t.equal(status, 200)
    t.same(Object.keys(body), ['nonce', 'domain', 'expiresAt'])
  }
  t.match(await client.call('POST', '/v1/auth/challenge', { username: 'A' }), problem(400, 'invalid_username'))
})

t.test('a challenge serves one attempt, for its name', async t => {
  const { url } = await startTestNode(t)
  const user = newUser()
  const client = new HttpClient(url)
  await client.register(user)
  const { username, identity } = user
  const attempt = (nonce: string, signature: string) =>
    client.call('POST', '/v1/auth/token', { username, nonce, signature })
  const nonce = await client.nonce(username)
  const signature = prove(identity, { purpose: 'authenticate', username, nonce })
  t.match(
    await attempt(nonce, prove(newIdentity(), { purpose: 'authenticate', username, nonce })),
    problem(401, 'unauthorized'),
  )
  t.match(await attempt(nonce, signature), problem(401, 'unauthorized'), 'a failed attempt used it up')
  const ofAnother = await client.nonce(newName())
  t.match(
    await attempt(ofAnother, prove(identity, { purpose: 'authenticate', username, nonce: ofAnother })),
    problem(401, 'unauthorized'),
  )
})

// Evidence: L2, API2, A1
t.test('of a hundred parallel uses of one challenge, only one succeeds', async t => {
  const { url } = await startTestNode(t)
  const user = newUser()
  const client = new HttpClient(url)
  await client.register(user)
  const { username, identity } = user
  const nonce = await client.nonce(username)
  const signature = prove(identity, { purpose: 'authenticate', username, nonce })
  const answers = await Promise.all(
    Array.from({ length: 100 }, () => client.call('POST', '/v1/auth/token', { username, nonce, signature })),
  )
  t.equal(answers.filter(({ status }) => status === 200).length, 1)
  const refused = answers.filter(({ status }) => status === 401).map(({ body }) => JSON.stringify(body))
  t.equal(refused.length, 99)
  t.equal(new Set(refused).size, 1, 'constant reply')
})

// Evidence: X9, W7, W10
t.test('every other route needs a token, in the header only', async t => {
  const { url } = await startTestNode(t)
  const { token } = await HttpClient.loggedIn(url, newUser())
  const stranger = new HttpClient(url)
  const calls: [string, string, unknown?][] = [
    ['DELETE', '/v1/auth/token'],
    ['GET', '/v1/users'],
    ['GET', '/v1/users/bob'],
    ['DELETE', '/v1/users/bob', { nonce: 'A'.repeat(43), signature: 'A'.repeat(86) }],
    ['POST', '/v1/users/bob/keys', { id: '1' }],
    ['PUT', '/v1/keys', {}],
    ['POST', '/v1/messages', { id: '1', to: 'bob', body: 'AAAA' }],
    ['GET', '/v1/inbox'],
    ['POST', '/v1/inbox/ack', { seq: 1, epoch: 1 }],
  ]
  for (const [method, path, body] of calls) {
    const answer = await stranger.call(method, path, body)
    t.match(answer, problem(401, 'unauthorized'), `${method} ${path}`)
    t.equal(answer.headers.get('www-authenticate'), 'Bearer')
  }
  for (const authorization of ['Bearer', `Basic ${token}`, `Bearer ${token}x`, `Bearer ${'A'.repeat(43)}`]) {
    t.match(
      await stranger.call('GET', '/v1/users', undefined, { authorization }),
      problem(401, 'unauthorized'),
      authorization,
    )
  }
  t.match(await stranger.call('GET', `/v1/users?token=${token}&access_token=${token}`), problem(401, 'unauthorized'))
})

t.test('logout ends the token and its sockets', async t => {
  const { url, wsUrl } = await startTestNode(t)
  const client = await HttpClient.loggedIn(url, newUser())
  const socket = await RawClient.connect(t, wsUrl)
  await socket.request({ type: 'authenticate', token: client.token })
  t.match(await client.call('DELETE', '/v1/auth/token'), { status: 204 })
  t.equal((await socket.closed).code, 4401)
  t.match(await client.call('GET', '/v1/users'), problem(401, 'unauthorized'))
})

t.test('users are listed and shown', async t => {
  const { url } = await startTestNode(t)
  const prefix = newName('y').slice(0, 9)
  const users = ['a', 'b', 'c'].map(end => newUser(`${prefix}${end}`))
  const clients = []
  for (const user of users) clients.push(await HttpClient.loggedIn(url, user))
  const [client] = clients
  t.match(await client?.call('GET', `/v1/users?prefix=${prefix}&limit=2`), {
    status: 200,
    body: {
      users: [{ username: `${prefix}a`, online: false, lastSeenAt: Number }, { username: `${prefix}b` }],
      cursor: `${prefix}b`,
    },
  })
  t.match(await client?.call('GET', `/v1/users?prefix=${prefix}&limit=2&cursor=${prefix}b`), {
    body: { users: [{ username: `${prefix}c` }], cursor: null },
  })
  t.match(await client?.call('GET', `/v1/users?prefix=${prefix}&online=true`), { body: { users: [], cursor: null } })
  const shown = await client?.call('GET', `/v1/users/${prefix}b`)
  t.match(shown, {
    status: 200,
    body: { username: `${prefix}b`, online: false, registeredAt: Number, lastSeenAt: Number },
  })
  t.equal(shown?.body.identity, users[1] && identityText(users[1].identity))
  t.match(await client?.call('GET', `/v1/users/${newName()}`), problem(404, 'unknown_user'))
  t.match(await client?.call('GET', '/v1/users/A'), problem(400, 'invalid_username'))
  for (const query of ['limit=0', 'limit=501', 'limit=x', 'online=maybe', 'prefix=A*', 'cursor=A']) {
    t.match(await client?.call('GET', `/v1/users?${query}`), problem(400, 'bad_frame'), query)
  }
})

// Evidence: L9, X8, API1
t.test('a user can delete only itself; the name stays reserved for its key', async t => {
  const { url, wsUrl } = await startTestNode(t)
  const [user, other] = [newUser(), newUser()]
  const client = await HttpClient.loggedIn(url, user)
  await HttpClient.loggedIn(url, other)
  const socket = await RawClient.listening(t, wsUrl, user)
  const proof = async (purpose: 'delete' | 'authenticate') => {
    const nonce = await client.nonce(user.username)
    return { nonce, signature: prove(user.identity, { purpose, username: user.username, nonce }) }
  }
  t.match(await client.call('DELETE', `/v1/users/${other.username}`, await proof('delete')), problem(403, 'forbidden'))
  t.match(
    await client.call('DELETE', `/v1/users/${user.username}`, await proof('authenticate')),
    problem(401, 'unauthorized'),
  )
  t.match(await client.call('DELETE', `/v1/users/${user.username}`, await proof('delete')), { status: 204 })
  t.match((await socket.closed).code, 4401)
  t.match(await client.call('GET', '/v1/users'), problem(401, 'unauthorized'))
  t.match(await client.register({ username: user.username, identity: newIdentity() }), problem(409, 'username_taken'))
  t.match(await client.register(user), { status: 201 })
})

t.test('a message is accepted with 202, and its errors are problems', async t => {
  const { url } = await startTestNode(t, { INBOX_MAX_MESSAGES: '1' })
  const bob = newUser()
  await HttpClient.loggedIn(url, bob)
  const client = await HttpClient.loggedIn(url, newUser())
  const send = (message: object) =>
    client.call('POST', '/v1/messages', { id: 'm', to: bob.username, body: 'AAAA', ...message })
  const first = await send({})
  t.match(first, { status: 202, body: { id: 'm', seq: Number, queued: true } })
  t.equal((await send({})).body.seq, first.body.seq)
  t.match(await send({ body: 'BBBB' }), problem(409, 'id_reused'))
  const full = await send({ id: 'n' })
  t.match(full, problem(507, 'inbox_full'))
  t.equal(full.headers.get('retry-after'), String(full.body.retryAfter))
  t.match(await send({ id: 'x', to: newName() }), problem(404, 'unknown_user'))
  t.match(await send({ id: 'x', to: 'A' }), problem(400, 'invalid_username'))
  t.match(await send({ id: 'x', body: 'A'.repeat(limits.maxBodyChars + 1) }), problem(413, 'message_too_large'))
  t.match(await send({ id: 'x', body: '=' }), problem(400, 'bad_frame'))
  t.match(await send({ id: 5 }), problem(400, 'bad_frame'), 'a number is no text')
  t.match(await send({ kind: 'other' }), problem(400, 'bad_frame'))
})

t.test('the inbox is read, read again, and acknowledged', async t => {
  const { url } = await startTestNode(t)
  const bob = newUser()
  const reader = await HttpClient.loggedIn(url, bob)
  const sender = await HttpClient.loggedIn(url, newUser())
  t.match(await reader.call('GET', '/v1/inbox'), { status: 200, body: { messages: [], queued: 0, epoch: Number } })
  for (const id of ['a', 'b', 'c']) await sender.call('POST', '/v1/messages', { id, to: bob.username, body: 'AAAA' })
  const page = await reader.call('GET', '/v1/inbox?limit=2')
  t.match(page.body, {
    messages: [{ id: 'a', kind: 'message', prev: 0, body: 'AAAA', sentAt: Number }, { id: 'b' }],
    queued: 3,
  })
  const { messages, epoch } = page.body
  const seqs = Array.isArray(messages) ? messages.map(({ seq }) => Number(seq)) : []
  t.match(await reader.call('POST', '/v1/inbox/ack', { seq: (seqs[1] ?? 0) + 1, epoch }), problem(400, 'bad_ack'))
  t.match(
    await reader.call('POST', '/v1/inbox/ack', { seq: seqs[1], epoch: Number(epoch) + 1 }),
    problem(409, 'conflict'),
  )
  t.match(await reader.call('POST', '/v1/inbox/ack', { seq: seqs[1], epoch }), { status: 204 })
  t.match((await reader.call('GET', '/v1/inbox')).body, { messages: [{ id: 'c', prev: 0 }], queued: 1, epoch })
})

t.test('a wait ends with the first message', async t => {
  const { url } = await startTestNode(t)
  const bob = newUser()
  const reader = await HttpClient.loggedIn(url, bob)
  const sender = await HttpClient.loggedIn(url, newUser())
  const { body } = await reader.call('GET', '/v1/inbox')
  const waiting = reader.call('GET', '/v1/inbox?wait=50')
  t.match(await sender.call('POST', '/v1/messages', { id: 'm', to: bob.username, body: 'AAAA' }), {
    status: 202,
    body: { queued: false },
  })
  t.match(await waiting, { status: 200, body: { messages: [{ id: 'm' }], epoch: body.epoch } })
})

t.test('a wait ends after its time', async t => {
  const { url } = await startTestNode(t)
  const reader = await HttpClient.loggedIn(url, newUser())
  const answers = Array.from({ length: 200 }, () => reader.call('GET', '/v1/inbox?wait=1'))
  for (const answer of await Promise.all(answers)) t.match(answer, { status: 200, body: { messages: [], queued: 0 } })
  t.match(await reader.call('GET', '/v1/inbox?wait=51'), problem(400, 'bad_frame'))
})

t.test(
  'a socket takes the inbox over and ends the wait with 409; while it listens, there is no claim over HTTP',
  async t => {
    const { url, wsUrl } = await startTestNode(t)
    const bob = newUser()
    const reader = await HttpClient.loggedIn(url, bob)
    const { body } = await reader.call('GET', '/v1/inbox')
    const waiting = reader.call('GET', '/v1/inbox?wait=50')
    const socket = await RawClient.loggedIn(t, wsUrl, bob)
    // The wait has begun once it is subscribed. The second read shows that the caller holds the claim.
    await reader.call('GET', '/v1/inbox')
    await socket.request({ type: 'listen' })
    t.match(await waiting, problem(409, 'conflict'))
    t.match(await reader.call('GET', '/v1/inbox'), problem(409, 'conflict'))
    t.match(await reader.call('POST', '/v1/inbox/ack', { seq: 0, epoch: body.epoch }), problem(409, 'conflict'))
    await socket.request({ type: 'stop' })
    t.match(await reader.call('GET', '/v1/inbox'), { status: 200 })
  },
)

// Evidence: API1
t.test('claims over HTTP are per token', async t => {
  const { url } = await startTestNode(t)
  const bob = newUser()
  const [first, second] = [await HttpClient.loggedIn(url, bob), await HttpClient.loggedIn(url, bob)]
  t.match(await first.call('GET', '/v1/inbox'), { status: 200 })
  t.match(await second.call('GET', '/v1/inbox'), problem(409, 'conflict'))
})

t.test('a caller that hangs up leaves nothing behind', async t => {
  const { url, wsUrl, metricsUrl } = await startTestNode(t, { METRICS_PORT: '0' })
  const bob = newUser()
  const reader = await HttpClient.loggedIn(url, bob)
  const abort = new AbortController()
  const waiting = fetch(`${url}/v1/inbox?wait=50`, {
    headers: { authorization: `Bearer ${reader.token}` },
    signal: abort.signal,
  })
  const listening = async () => /aimessage_listening (\d+)/.exec(await (await fetch(metricsUrl ?? '')).text())?.[1]
  while ((await listening()) !== '1') await new Promise(resolve => setImmediate(resolve))
  abort.abort()
  await t.rejects(waiting)
  while ((await listening()) !== '0') await new Promise(resolve => setImmediate(resolve))
  await RawClient.connect(t, wsUrl)
  t.match(await (await fetch(metricsUrl ?? '')).text(), /aimessage_connections 1/)
})

t.test('an idle connection does not keep a node from closing within 10 s', async t => {
  const node = await startTestNode(t, { METRICS_PORT: '0' })
  const silent = [node.url, node.metricsUrl ?? ''].map(url => connect(Number(new URL(url).port), '127.0.0.1'))
  await Promise.all(silent.map(socket => once(socket, 'connect')))
  const gone = silent.map(socket => once(socket, 'close'))
  for (const socket of silent) socket.resume()
  const started = performance.now()
  await node.close()
  t.ok(performance.now() - started < 10_000)
  await Promise.all(gone)
})

t.test('no such path is 404, no such method 405, another content type 415, a large body 413', async t => {
  const { url } = await startTestNode(t)
  const client = await HttpClient.loggedIn(url, newUser())
  t.match(await client.call('GET', '/v2/users'), problem(404, 'not_found'))
  t.match(await client.call('GET', '/'), problem(404, 'not_found'))
  const wrongMethod = await client.call('PATCH', '/v1/users/bob')
  t.match(wrongMethod, problem(405, 'bad_frame'))
  t.equal(wrongMethod.headers.get('allow'), 'GET, DELETE')
  for (const type of [
    'text/plain',
    'application/x-www-form-urlencoded',
    'application/json2',
    'text/json; application/json',
    '',
  ]) {
    const answer = await client.call('POST', '/v1/messages', '{"id":"1","to":"bob","body":"AAAA"}', {
      'content-type': type,
    })
    t.ok(answer.status === 415 || answer.status === 400, `${type} is ${answer.status}`)
    t.equal(answer.body.code, 'bad_frame')
  }
  t.match(
    await client.call('POST', '/v1/messages', JSON.stringify({ pad: 'x'.repeat(200_000) })),
    problem(413, 'message_too_large'),
  )
})

t.test('a body is checked like a frame, however its content type is spelled', async t => {
  const { url } = await startTestNode(t)
  const client = new HttpClient(url)
  const bodies = [
    '',
    '{',
    '[]',
    'null',
    '5',
    '{"username":5}',
    '{}',
    '{"__proto__":{"username":"bob"}}',
    `{"username":"bob","x":${'['.repeat(9)}${']'.repeat(9)}}`,
  ]
  for (const type of ['application/json', 'Application/JSON ', 'application/json\t; charset=utf-8']) {
    for (const body of bodies) {
      t.match(
        await client.call('POST', '/v1/auth/challenge', body, { 'content-type': type }),
        problem(400, 'bad_frame'),
        `${type} ${body}`,
      )
    }
  }
})

t.test('responses forbid content sniffing and caching', async t => {
  const { url } = await startTestNode(t)
  const { headers } = await HttpClient.loggedIn(url, newUser()).then(client => client.call('GET', '/v1/users'))
  t.equal(headers.get('x-content-type-options'), 'nosniff')
  t.equal(headers.get('cache-control'), 'no-store')
})

t.test('the OpenAPI description lists every route, and its page is served', async t => {
  const { url } = await startTestNode(t)
  const client = new HttpClient(url)
  const { body } = await client.call('GET', '/openapi.json')
  t.match(body, {
    openapi: /^3\./,
    paths: { '/v1/messages': { post: { responses: { 202: {} } } }, '/v1/users/{username}': { get: {}, delete: {} } },
  })
  const paths: unknown = body.paths
  t.ok(typeof paths === 'object' && paths !== null && !('/ws' in paths))
  t.equal((await fetch(`${url}/docs/`)).status, 200)
})

// Evidence: API9
t.test('18.11 the OpenAPI document has ids, summaries, tags, security, components and error responses', async t => {
  const { url } = await startTestNode(t, { ADMIN_TOKEN: 'o'.repeat(40) })
  const response = await fetch(`${url}/openapi.json`)
  const document = (await response.json()) as OpenApi
  const validated = await new Validator().validate(structuredClone(document))
  t.same(validated, { valid: true })
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ name: `${method.toUpperCase()} ${path}`, operation })),
  )
  const routes = [...Object.values(httpRoutes), ...Object.values(adminRoutes)]
  t.equal(operations.length, routes.length + 2, 'every route, and two of health')
  t.equal(new Set(operations.map(({ operation }) => operation.operationId)).size, operations.length, 'own ids')
  t.same(document.security, [{ token: [] }])
  t.match(document.components.securitySchemes, { token: { type: 'http', scheme: 'bearer' } })
  const groups = document.tags.map(({ name }) => name)
  for (const { name, operation } of operations) {
    t.match(operation.operationId, /^[a-z]\w+$/, name)
    t.match(operation.summary, /^[A-Z]/, name)
    t.equal(operation.tags.length, 1, name)
    t.ok(groups.includes(operation.tags[0] ?? ''), `${name}: a described tag`)
    const failures = Object.entries(operation.responses).filter(([status]) => Number(status) >= 400)
    t.ok(failures.length > 0 && operation.responses.default, `${name}: failures`)
    for (const [status, failure] of [...failures, ['default', operation.responses.default] as const])
      t.same(failure?.content, problemContent, `${name} ${status}`)
  }
  const open = operations.filter(({ operation }) => operation.security !== undefined)
  t.same(
    open.map(({ name, operation }) => [name, operation.security]).sort(),
    ['GET /health/live', 'GET /health/ready', 'POST /v1/auth/challenge', 'POST /v1/auth/token', 'POST /v1/users'].map(
      name => [name, []],
    ),
  )
  const text = JSON.stringify(document)
  const schemas = Object.keys(document.components.schemas)
  t.same(schemas.sort(), [...Object.keys(httpSchemas), ...Object.keys(adminSchemas)].sort())
  for (const name of schemas) t.ok(text.includes(`"#/components/schemas/${name}"`), `${name} is used`)
  const answers = new Set(operations.map(({ operation }) => JSON.stringify(operation.requestBody ?? null)))
  t.ok(answers.has(JSON.stringify(jsonBody('#/components/schemas/Message'))), 'a body is a reference')
})

const problemContent = { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } }
const jsonBody = ($ref: string) => ({ required: true, content: { 'application/json': { schema: { $ref } } } })

type Operation = {
  operationId: string
  summary: string
  tags: string[]
  security?: object[]
  requestBody?: object
  responses: Record<string, { content?: object }>
}
type OpenApi = {
  paths: Record<string, Record<string, Operation>>
  security: object[]
  tags: { name: string }[]
  components: { securitySchemes: object; schemas: object }
}

t.test('18.11 each refusal of a route is in its OpenAPI responses', async t => {
  const { url } = await startTestNode(t)
  const document = (await (await fetch(`${url}/openapi.json`)).json()) as OpenApi
  const client = await HttpClient.loggedIn(url, newUser())
  const stranger = new HttpClient(url)
  const stray = newName()
  const calls: [HttpClient, string, string, unknown?][] = [
    [stranger, 'GET', '/v1/users'],
    [client, 'GET', `/v1/users/${stray}`],
    [client, 'GET', '/v1/users/A'],
    [client, 'GET', `/v1/users/${stray}/card`],
    [client, 'PUT', '/v1/card', { card: 5 }],
    [client, 'PUT', '/v1/card', { card: 'AAAA' }],
    [client, 'DELETE', `/v1/users/${stray}`, { nonce: 'A'.repeat(43), signature: 'A'.repeat(86) }],
    [client, 'DELETE', `/v1/sessions/${'A'.repeat(16)}`],
    [client, 'PUT', `/v1/privacy/rules/${stray}`, { rule: 'blocked' }],
    [client, 'PUT', '/v1/privacy/rules/A', { rule: 'blocked' }],
    [client, 'DELETE', '/v1/privacy/rules/A'],
    [client, 'DELETE', `/v1/privacy/rules/${stray}`],
    [client, 'POST', `/v1/users/${stray}/keys`, { id: 'x' }],
    [client, 'PUT', '/v1/keys', { bundle: 'AAAA' }],
    [client, 'POST', '/v1/messages', { id: 'm', to: stray, body: 'AAAA' }],
    [client, 'POST', '/v1/messages', { id: 'm', to: stray, body: 'A'.repeat(limits.maxBodyChars + 1) }],
    [client, 'POST', '/v1/inbox/ack', { seq: 5, epoch: 1 }],
    [stranger, 'POST', '/v1/auth/challenge', { username: 'A' }],
    [stranger, 'POST', '/v1/auth/token', { username: 'abc', nonce: 'A'.repeat(43), signature: 'A'.repeat(86) }],
  ]
  for (const [caller, method, path, body] of calls) {
    const { status, body: answer } = await caller.call(method, path, body)
    const [template = ''] = Object.keys(document.paths).filter(known =>
      new RegExp(`^${known.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(path),
    )
    const described = document.paths[template]?.[method.toLowerCase()]?.responses[status]
    t.ok(described, `${method} ${path}: ${status}`)
    const codes = String(Object(described).description).split(', ')
    t.ok(status < 400 || codes.includes(String(answer?.code)), `${method} ${path}: ${answer?.code} is in ${codes}`)
  }
})

t.test('metrics are on their own port only', async t => {
  const { url, metricsUrl } = await startTestNode(t, { METRICS_PORT: '0' })
  t.match(await (await fetch(metricsUrl ?? '')).text(), /aimessage_errors_total\{code="internal"\} 0/)
  t.equal((await fetch(`${url}/metrics`)).status, 404)
  t.equal((await startTestNode(t)).metricsUrl, null)
})

// Evidence: L4, API2
t.test('logins from one address are limited, and other addresses are not affected', async t => {
  const { url } = await startTestNode(t, { TRUST_PROXY: '127.0.0.1' })
  const client = new HttpClient(url)
  const from = (address: string) =>
    client.call('POST', '/v1/auth/challenge', { username: 'A' }, { 'x-forwarded-for': address })
  let limited = await from('192.0.2.1')
  for (let index = 0; index < 400 && limited.status !== 429; index += 1) {
    const answers = await Promise.all(Array.from({ length: 50 }, () => from('192.0.2.1')))
    limited = answers.find(({ status }) => status === 429) ?? limited
  }
  t.match(limited, problem(429, 'rate_limited'))
  t.ok(Number(limited.headers.get('retry-after')) >= 1)
  t.equal((await from('192.0.2.2')).status, 400)
})
