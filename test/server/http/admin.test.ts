import t, { type Test } from 'tap'
import { adminRoutes } from '../../../src/protocol/admin-http.ts'
import { openLogger } from '../../../src/server/base/logger.ts'
import { HttpClient } from '../../../tools/clients/http-client.ts'
import { newIdentity, newUser, RawClient } from '../../../tools/clients/raw-client.ts'
import { startDeployment } from '../../../tools/servers/deployment.ts'
import { startTestNode, startTestNodes } from '../../../tools/servers/running-node.ts'

const ADMIN_TOKEN = 'canary-token-of-the-operator-0123456789'
const env = { ADMIN_TOKEN }
const refused = (status: number, code: string) => ({ status, body: { code } })

/** A node with administration, an operator's client, and the audit log. */
async function openAdministration(t: Test, more: Record<string, string> = {}) {
  const lines: string[] = []
  const log = openLogger(more.LOG_LEVEL ?? 'error', { write: line => lines.push(line) })
  const node = await startTestNode(t, { ...env, ...more }, { log })
  const acts = () => lines.map(line => JSON.parse(line)).filter(({ audit }) => audit === true)
  return { ...node, admin: new HttpClient(node.url, ADMIN_TOKEN), acts, lines }
}

// Evidence: API5
t.test('without ADMIN_TOKEN there is no administration, and no description of it', async t => {
  const { url } = await startTestNode(t)
  const client = new HttpClient(url, ADMIN_TOKEN)
  for (const { method, path } of Object.values(adminRoutes)) {
    t.match(await client.call(method, path.replace(/:\w+/, 'alice')), refused(404, 'not_found'), `${method} ${path}`)
  }
  t.notMatch(JSON.stringify((await client.call('GET', '/openapi.json')).body), /admin/)
})

// Evidence: API9
t.test('with ADMIN_TOKEN the API description has every route of the administration', async t => {
  const { admin } = await openAdministration(t)
  const text = JSON.stringify((await admin.call('GET', '/openapi.json')).body)
  for (const { path } of Object.values(adminRoutes)) t.ok(text.includes(`"${path.replace(/:(\w+)/, '{$1}')}"`), path)
})

// Evidence: X10, API5
t.test("every route of the administration needs the token, and a user's token is refused", async t => {
  const { url } = await openAdministration(t)
  const user = await HttpClient.loggedIn(url, newUser())
  for (const token of [undefined, user.token, ADMIN_TOKEN.slice(0, -1), `${ADMIN_TOKEN}x`]) {
    const client = new HttpClient(url, token)
    const { method, path } = adminRoutes.listNodes
    t.match(await client.call(method, path), refused(401, 'unauthorized'))
  }
  const client = new HttpClient(url)
  for (const { method, path } of Object.values(adminRoutes)) {
    t.match(await client.call(method, path.replace(/:\w+/, 'alice')), refused(401, 'unauthorized'), `${method} ${path}`)
  }
})

// Evidence: X10
t.test('guessing the token is limited by address, and an operator at another address is not affected', async t => {
  const { url } = await openAdministration(t, { TRUST_PROXY: '127.0.0.1' })
  const call = (token: string, address: string) =>
    new HttpClient(url, token).call('GET', '/v1/admin/nodes', undefined, { 'x-forwarded-for': address })
  const guess = (times: number) =>
    Promise.all(Array.from({ length: times }, (_, at) => call(`guess-${at}`, '192.0.2.1')))
  const guesses = await guess(60)
  const tried = guesses.filter(({ status }) => status === 401).length
  t.comment(`${tried} of 60 guesses were looked at`)
  t.ok(tried <= 30)
  t.match(guesses.at(-1), { ...refused(429, 'rate_limited'), body: { retryAfter: Number } })
  // The bucket may have refilled for one more call; this call uses it up before the next attempt.
  let right = await call(ADMIN_TOKEN, '192.0.2.1')
  for (let attempt = 1; attempt < 10 && right.status !== 429; attempt += 1) {
    await guess(5)
    right = await call(ADMIN_TOKEN, '192.0.2.1')
  }
  t.equal(right.status, 429, 'the right token is not looked at either')
  t.equal((await call(ADMIN_TOKEN, '192.0.2.2')).status, 200)
})

// Evidence: API6
t.test('an invite registers one user, is listed by its id, and can be revoked', async t => {
  const { url, admin } = await openAdministration(t, { REGISTRATION: 'invite' })
  const { status, body } = await admin.call('POST', '/v1/admin/invites', { expiresIn: 3600 })
  t.equal(status, 201)
  const text = String(body.invite)
  const user = newUser()
  const client = new HttpClient(url)
  t.match(await client.register(user), refused(403, 'forbidden'))
  t.equal((await client.register(user, text)).status, 201)
  t.match(await client.register(newUser(), text), refused(403, 'forbidden'))
  const listed = await admin.call('GET', '/v1/admin/invites')
  t.match(listed.body, { invites: [{ id: body.id, usedBy: user.username }], cursor: null })
  t.notOk(JSON.stringify(listed.body).includes(text), 'its text is told once')

  const second = (await admin.call('POST', '/v1/admin/invites', {})).body
  t.equal((await admin.call('DELETE', `/v1/admin/invites/${second.id}`)).status, 204)
  t.match(await admin.call('DELETE', `/v1/admin/invites/${second.id}`), refused(404, 'not_found'))
  t.match(await client.register(newUser(), String(second.invite)), refused(403, 'forbidden'))
  t.match(await admin.call('POST', '/v1/admin/invites', { expiresIn: 2_592_001 }), refused(400, 'bad_frame'))
})

// Evidence: L7, X7
t.test(
  'a blocked user is disconnected from every node within a second, and gets its waiting mail after the unblock',
  async t => {
    const [first, second] = await startTestNodes(t, 2, env)
    if (!first || !second) return t.fail('two nodes')
    const admin = new HttpClient(first.url, ADMIN_TOKEN)
    const sender = await RawClient.loggedIn(t, first.wsUrl)
    const user = newUser()
    const sockets = await Promise.all([first, second].map(({ wsUrl }) => RawClient.loggedIn(t, wsUrl, user)))
    const http = await HttpClient.loggedIn(second.url, user)
    const send = (id: string) => sender.request({ type: 'send', id, to: user.username, body: 'AAAA' })
    t.match(await send('before'), { type: 'accepted' })

    const start = performance.now()
    t.match(await admin.call('PUT', `/v1/admin/users/${user.username}/block`), {
      status: 200,
      body: { sessionsEnded: 3 },
    })
    for (const { closed } of sockets) t.equal((await closed).code, 4401)
    const tookMs = Math.round(performance.now() - start)
    t.comment(`closed on both nodes after ${tookMs} ms`)
    t.ok(tookMs < 1_000)
    t.match(await http.call('GET', '/v1/privacy'), refused(401, 'unauthorized'))
    t.match(await http.login(user), refused(403, 'forbidden'))
    t.match(await http.register(user), refused(403, 'forbidden'))
    t.match(
      await http.login({ ...user, identity: newIdentity() }),
      refused(401, 'unauthorized'),
      'told to its owner alone',
    )
    const back = await RawClient.connect(t, second.wsUrl)
    t.match(await back.authenticate(user), { type: 'error', code: 'forbidden' })
    t.match(await send('meanwhile'), { type: 'error', code: 'forbidden' })
    t.match(await sender.request({ type: 'fetch_keys', username: user.username }), { code: 'forbidden' })
    t.match((await admin.call('GET', `/v1/admin/users/${user.username}`)).body, { blocked: true, sessions: 0 })

    t.equal((await admin.call('DELETE', `/v1/admin/users/${user.username}/block`)).status, 204)
    const again = await RawClient.listening(t, second.wsUrl, user)
    t.match(await again.pushes(1), [{ id: 'before' }])
  },
)

t.test('all logins of a user can be ended, and the user may log in again', async t => {
  const { wsUrl, admin } = await openAdministration(t)
  const client = await RawClient.loggedIn(t, wsUrl)
  t.match(await admin.call('DELETE', `/v1/admin/users/${client.user.username}/sessions`), { body: { count: 1 } })
  t.equal((await client.closed).code, 4401)
  t.match(await (await RawClient.loggedIn(t, wsUrl, client.user)).request({ type: 'heartbeat' }), { type: 'heartbeat' })
})

// Evidence: API3
t.test('an inspection shows how much mail waits, its size and its age, but no content', async t => {
  const { wsUrl, admin } = await openAdministration(t)
  const client = await RawClient.loggedIn(t, wsUrl)
  const { username } = client.user
  for (const id of ['m1', 'm2']) await client.request({ type: 'send', id, to: username, body: 'c2VjcmV0' })
  const { status, body } = await admin.call('GET', `/v1/admin/users/${username}`)
  t.equal(status, 200)
  t.match(body, { username, online: false, blocked: false, deleted: false, writers: 'anyone', sessions: 1 })
  t.match(body.queue, { messages: 2, bytes: 16, oldestAt: Number })
  t.notMatch(JSON.stringify(body), /c2VjcmV0/)
  t.match(await admin.call('GET', '/v1/admin/users/nobody-here'), refused(404, 'unknown_user'))
  t.match(await admin.call('GET', `/v1/admin/users?prefix=${username}`), { body: { users: [{ username }] } })
})

t.test('a deleted user is gone, and its name is reserved for its key until it is released', async t => {
  const { url, wsUrl, admin } = await openAdministration(t)
  const client = await RawClient.loggedIn(t, wsUrl)
  const { user } = client
  const http = new HttpClient(url)
  const thief = { username: user.username, identity: newIdentity() }
  t.equal((await admin.call('DELETE', `/v1/admin/users/${user.username}`)).status, 204)
  t.equal((await client.closed).code, 4401)
  t.match(await http.register(thief), refused(409, 'username_taken'))
  t.equal((await admin.call('DELETE', `/v1/admin/users/${user.username}/key`)).status, 204)
  t.equal((await http.register(thief)).status, 201)
  t.match(await http.login(user), refused(401, 'unauthorized'))
  t.match(await admin.call('DELETE', '/v1/admin/users/nobody-here/key'), refused(404, 'unknown_user'))
})

t.test('a drained node closes its sockets and is not ready; other nodes continue', async t => {
  const [first, second] = await startTestNodes(t, 2, env)
  if (!first || !second) return t.fail('two nodes')
  const admin = new HttpClient(first.url, ADMIN_TOKEN)
  const { body } = await admin.call('GET', '/v1/admin/nodes')
  t.match(body.nodes, [
    { node: first.store.nodeId, self: true },
    { node: second.store.nodeId, self: false },
  ])
  const there = await RawClient.listening(t, second.wsUrl)
  const here = await RawClient.listening(t, first.wsUrl)
  t.equal((await admin.call('PUT', `/v1/admin/nodes/${second.store.nodeId}/drain`)).status, 202)
  t.equal((await there.closed).code, 4503)
  t.equal((await fetch(`${second.url}/health/ready`)).status, 503)
  t.equal((await fetch(`${second.url}/health/live`)).status, 200)
  t.equal((await fetch(`${first.url}/health/ready`)).status, 200)
  t.match(await here.request({ type: 'heartbeat' }), { type: 'heartbeat' })
  t.match(await admin.call('PUT', '/v1/admin/nodes/no-such-node/drain'), refused(404, 'not_found'))
})

// Evidence: L8, X10
t.test(
  'every act is one log line at any level, with operator, act, target and outcome, and without secrets',
  async t => {
    const { url, admin, acts, lines } = await openAdministration(t, { LOG_LEVEL: 'fatal', REGISTRATION: 'invite' })
    const { body: invite } = await admin.call('POST', '/v1/admin/invites', {})
    const user = newUser()
    await new HttpClient(url).register(user, String(invite.invite))
    const path = `/v1/admin/users/${user.username}`
    await admin.call('PUT', `${path}/block`)
    await admin.call('DELETE', `${path}/block`)
    await admin.call('DELETE', '/v1/admin/users/nobody-here')
    await admin.call('DELETE', `/v1/admin/invites/${invite.invite}`)
    await new HttpClient(url, 'canary-guess').call('GET', path)
    t.match(acts(), [
      { act: 'createInvite', by: 'operator', ip: '127.0.0.1', target: invite.id, outcome: 'done', status: 201 },
      { act: 'blockUser', target: user.username, outcome: 'done', request: String },
      { act: 'unblockUser', target: user.username, outcome: 'done' },
      { act: 'deleteUser', target: 'nobody-here', outcome: 'refused', status: 404 },
      { act: 'revokeInvite', outcome: 'refused', status: 404 },
      { act: 'inspectUser', outcome: 'refused', status: 401 },
    ])
    t.equal(acts().length, 6)
    const log = lines.join('')
    t.notMatch(log, /canary/, 'no token')
    t.notOk(log.includes(String(invite.invite)), 'no invite, not even where an id was wanted')
  },
)

t.test('over two processes and Redis an act reaches the other node, even if the socket there is busy', async t => {
  const { nodes } = await startDeployment(t, { nodes: 2, env })
  const [first, second] = nodes
  if (!first || !second) return t.fail('two nodes')
  const admin = new HttpClient(first.url, ADMIN_TOKEN)
  /** The time until the other node closes the socket, ms. */
  const untilClosed = async (client: RawClient, start: number) => {
    const beat = setInterval(() => client.send({ type: 'heartbeat' }), 20)
    const { code } = await client.closed
    clearInterval(beat)
    return { code, tookMs: Math.round(performance.now() - start) }
  }
  for (const [act, method, path, code] of [
    ['end-sessions', 'DELETE', 'sessions', 4401],
    ['block', 'PUT', 'block', 4401],
    ['delete', 'DELETE', '', 4401],
  ] as const) {
    const client = await RawClient.listening(t, second.wsUrl)
    const start = performance.now()
    const ended = untilClosed(client, start)
    const { status } = await admin.call(method, `/v1/admin/users/${client.user.username}/${path}`.replace(/\/$/, ''))
    t.ok(status < 300, act)
    const result = await ended
    t.comment(`${act}: closed at the other node after ${result.tookMs} ms`)
    t.equal(result.code, code, act)
    t.ok(result.tookMs < 5_000)
  }
  const drained = await RawClient.listening(t, second.wsUrl)
  const listed = await admin.call('GET', '/v1/admin/nodes')
  const views: { node: string; self: boolean; listening: number }[] = Object(listed.body.nodes)
  const other = views.find(({ self }) => !self)
  t.equal(other?.listening, 1)
  const start = performance.now()
  t.equal((await admin.call('PUT', `/v1/admin/nodes/${other?.node}/drain`)).status, 202)
  const result = await untilClosed(drained, start)
  t.comment(`drain: closed at the other node after ${result.tookMs} ms`)
  t.equal(result.code, 4503)
  t.equal((await fetch(`${second.url}/health/ready`)).status, 503)
  t.equal(await second.stop(), 0, 'and it ends like any other')
  t.equal(first.logs().filter(line => line.includes('"audit":true')).length, 5)
})
