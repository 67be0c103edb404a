import t, { type Test } from 'tap'
import { registerAgent } from '../../../tools/clients/agents.ts'
import { HttpClient } from '../../../tools/clients/http-client.ts'
import { newName, newUser, RawClient } from '../../../tools/clients/raw-client.ts'
import { startTestNode, startTestNodes } from '../../../tools/servers/running-node.ts'

type Member = RawClient & { user: { username: string } }
const accepted = { type: 'accepted' }
const forbidden = { type: 'error', code: 'forbidden' }
let ids = 0
const write = (from: Member, to: Member) =>
  from.request({ type: 'send', id: `m${++ids}`, to: to.user.username, body: 'AAAA' })
const setRule = (member: Member, other: Member, rule: string) =>
  member.request({ type: 'set_rule', username: other.user.username, rule })

/** Three users on two nodes. */
async function openThree(t: Test): Promise<[Member, Member, Member]> {
  const [first, second] = await startTestNodes(t, 2)
  if (!first || !second) throw new Error('two nodes')
  return Promise.all([
    RawClient.loggedIn(t, first.wsUrl),
    RawClient.loggedIn(t, second.wsUrl),
    RawClient.loggedIn(t, first.wsUrl),
  ])
}

// Evidence: L7, X7, W12
t.test('a blocked sender gets forbidden and nothing else, and other senders can still write', async t => {
  const [alice, bob, carol] = await openThree(t)
  t.match(await alice.request({ type: 'privacy' }), { type: 'privacy', writers: 'anyone' })
  t.match(await setRule(alice, bob, 'blocked'), { type: 'rule', username: bob.user.username, rule: 'blocked' })
  const refusal = await write(bob, alice)
  t.match(refusal, forbidden)
  t.same(Object.keys(refusal), ['type', 'id', 'code', 'message'])
  t.match(await bob.request({ type: 'fetch_keys', username: alice.user.username }), forbidden)
  t.match(await bob.request({ type: 'key_exchange', to: alice.user.username, body: 'AAAA' }), forbidden)
  t.match(await write(carol, alice), accepted)
  t.match(await setRule(alice, bob, 'none'), { rule: 'none' })
  t.match(await write(bob, alice), accepted)
})

t.test('a refused sender gets the same error, whatever the reason', async t => {
  const [alice, bob, carol] = await openThree(t)
  await alice.request({ type: 'privacy', writers: 'allowlist' })
  await setRule(alice, bob, 'blocked')
  const [blocked, unlisted] = [await write(bob, alice), await write(carol, alice)]
  t.same({ ...blocked, id: '' }, { ...unlisted, id: '' })
})

// Evidence: L7
t.test("a user's contacts are the users it has written to", async t => {
  const [alice, bob, carol] = await openThree(t)
  t.match(await alice.request({ type: 'privacy', writers: 'contacts' }), { writers: 'contacts' })
  t.match(await write(bob, alice), forbidden)
  t.match(await write(alice, bob), accepted)
  t.match(await write(bob, alice), accepted)
  t.match(await write(carol, alice), forbidden)
  t.match(await alice.request({ type: 'list_rules' }), {
    type: 'rule_list',
    rules: [{ username: bob.user.username, rule: 'contact' }],
    cursor: null,
  })
})

t.test('a refusal blocks neither the next message to another user, nor the next one after it is allowed', async t => {
  const [alice, bob, carol] = await openThree(t)
  await alice.request({ type: 'privacy', writers: 'allowlist' })
  const answers = await Promise.all([write(bob, alice), write(bob, carol), write(bob, alice)])
  t.match(answers, [forbidden, accepted, forbidden])
  await setRule(alice, bob, 'allowed')
  t.match(await write(bob, alice), accepted)
})

t.test('the same over HTTP', async t => {
  const { url } = await startTestNode(t)
  const [alice, bob] = [newUser(), newUser()]
  const [own, other] = [await HttpClient.loggedIn(url, alice), await HttpClient.loggedIn(url, bob)]
  const writeOver = (id: string) => other.call('POST', '/v1/messages', { id, to: alice.username, body: 'AAAA' })
  t.match(await own.call('GET', '/v1/privacy'), { status: 200, body: { writers: 'anyone' } })
  t.match(await own.call('PUT', '/v1/privacy', { writers: 'allowlist' }), { body: { writers: 'allowlist' } })
  t.match(await own.call('PUT', '/v1/privacy', { writers: 'nobody' }), { status: 400, body: { code: 'bad_frame' } })
  t.match(await writeOver('m1'), { status: 403, body: { code: 'forbidden' } })
  t.match(await other.call('POST', `/v1/users/${alice.username}/keys`, { id: 'f1' }), { status: 403 })
  const rule = `/v1/privacy/rules/${bob.username}`
  t.match(await own.call('PUT', rule, { rule: 'allowed' }), { body: { username: bob.username, rule: 'allowed' } })
  t.match(await own.call('GET', '/v1/privacy/rules'), { body: { rules: [{ rule: 'allowed' }], cursor: null } })
  t.match(await writeOver('m2'), { status: 202 })
  t.match(await own.call('DELETE', rule), { status: 204 })
  t.match(await writeOver('m3'), { status: 403 })
})

t.test('a rule needs a valid name of this domain', async t => {
  const { wsUrl } = await startTestNode(t)
  const alice = await RawClient.loggedIn(t, wsUrl)
  t.match(await alice.request({ type: 'set_rule', username: 'bob@elsewhere', rule: 'blocked' }), {
    code: 'unknown_user',
  })
  t.match(await alice.request({ type: 'set_rule', username: '__proto__', rule: 'blocked' }), {
    code: 'invalid_username',
  })
  t.match(await alice.request({ type: 'set_rule', username: newName(), rule: 'blocked' }), { rule: 'blocked' })
})

t.test('18.14 a rule for a name that nobody has is stored, and the answer says so', async t => {
  const [open, closed] = await Promise.all([startTestNode(t), startTestNode(t, { LISTING: 'closed' })])
  const rule = async ({ wsUrl }: { wsUrl: string }, name: string, wanted: 'blocked' | 'allowed' | 'none') => {
    const client = await registerAgent(t, wsUrl, newName())
    await registerAgent(t, wsUrl, 'bob').catch(() => {})
    const answer = await client.access.setRule(name, wanted)
    const rules = []
    for await (const { username } of client.access.rules()) rules.push(username)
    await client.close()
    return { ...answer, rules }
  }
  t.same(await rule(open, 'bobb', 'blocked'), { username: 'bobb', known: false, rules: ['bobb'] })
  t.same(await rule(open, 'bob', 'blocked'), { username: 'bob', known: true, rules: ['bob'] })
  t.same(await rule(open, 'bobb', 'none'), { username: 'bobb', known: undefined, rules: [] })
  t.same(await rule(closed, 'bobb', 'blocked'), { username: 'bobb', known: undefined, rules: ['bobb'] }, 'no look-up')
  const http = await HttpClient.loggedIn(open.url, newUser())
  const answer = await http.call('PUT', '/v1/privacy/rules/bobb', { rule: 'blocked' })
  t.same(answer.body, { username: 'bobb', rule: 'blocked', known: false })
})

t.test('if users are not listed, a known name can still be written to', async t => {
  const { url, wsUrl } = await startTestNode(t, { LISTING: 'closed' })
  const alice = await RawClient.loggedIn(t, wsUrl)
  const http = await HttpClient.loggedIn(url, alice.user)
  const bob = await RawClient.loggedIn(t, wsUrl)
  t.match(await alice.request({ type: 'list_users' }), forbidden)
  t.match(await http.call('GET', '/v1/users'), { status: 403 })
  for (const name of [bob.user.username, newName()]) {
    const { status, body } = await http.call('GET', `/v1/users/${name}`)
    t.same([status, body.code], [403, 'forbidden'], 'known or not')
  }
  const own = await http.call('GET', `/v1/users/${alice.user.username}`)
  t.same(Object.keys(own.body), ['username', 'identity', 'online', 'lastSeenAt', 'registeredAt'])
  t.match(await write(alice, bob), accepted)
})

// Evidence: X9
t.test('a user sees its logins and ends one, or all others, on every node', async t => {
  const [first, second] = await startTestNodes(t, 2)
  if (!first || !second) return t.fail('two nodes')
  const one = await RawClient.loggedIn(t, first.wsUrl)
  const two = await RawClient.loggedIn(t, second.wsUrl, one.user)
  const http = await HttpClient.loggedIn(second.url, one.user)
  const list = await one.request({ type: 'sessions' })
  if (list.type !== 'session_list') return t.fail(list.type)
  t.same(
    list.sessions.map(({ current }) => current),
    [true, false, false],
  )
  const [, other] = list.sessions
  t.match(await one.request({ type: 'end_sessions', session: other?.session }), { type: 'sessions_ended', count: 1 })
  t.equal((await two.closed).code, 4401)
  t.match(await http.call('GET', '/v1/sessions'), { body: { sessions: [{ current: false }, { current: true }] } })
  t.match(await one.request({ type: 'end_sessions' }), { count: 1 })
  t.match(await http.call('GET', '/v1/sessions'), { status: 401 })
  t.match(await one.request({ type: 'end_sessions', session: 'x'.repeat(16) }), { code: 'not_found' })

  const again = await HttpClient.loggedIn(second.url, one.user)
  t.match(await again.call('DELETE', '/v1/sessions'), { status: 200, body: { count: 1 } })
  t.equal((await one.closed).code, 4401)
  const [own] = Object(await again.call('GET', '/v1/sessions')).body.sessions
  t.equal((await again.call('DELETE', `/v1/sessions/${own.session}`)).status, 204)
  t.match(await again.call('GET', '/v1/sessions'), { status: 401 })
})

// Evidence: X8, API1
t.test('a user cannot end the login of another user', async t => {
  const { wsUrl } = await startTestNode(t)
  const [alice, bob] = [await RawClient.loggedIn(t, wsUrl), await RawClient.loggedIn(t, wsUrl)]
  const list = await alice.request({ type: 'sessions' })
  const session = list.type === 'session_list' ? list.sessions[0]?.session : ''
  t.match(await bob.request({ type: 'end_sessions', session }), { code: 'not_found' })
  t.match(await alice.request({ type: 'heartbeat' }), { type: 'heartbeat' })
})
