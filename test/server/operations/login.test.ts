import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import { parseUsername, type Username } from '../../../src/protocol/names.ts'
import { systemClock } from '../../../src/server/base/clock.ts'
import { LastSeen } from '../../../src/server/node/last-seen.ts'
import { encodeBase64Url } from '../../../src/util/bytes.ts'
import { HttpClient } from '../../../tools/clients/http-client.ts'
import {
  identityText,
  newIdentity,
  newName,
  newUser,
  prove,
  RawClient,
  type User,
} from '../../../tools/clients/raw-client.ts'
import { openTestStore, startTestNode, withFaults } from '../../../tools/servers/running-node.ts'
import { ManualClock } from '../../fixtures/manual-clock.ts'

t.test('a free name is registered, and the same key again is a login', async t => {
  const { wsUrl } = await startTestNode(t)
  const user = newUser()
  const first = await RawClient.connect(t, wsUrl)
  t.match(await first.register(user), {
    type: 'authenticated',
    username: user.username,
    token: /^[A-Za-z0-9_-]{43}$/,
    generation: String,
    reserved: 0,
  })
  const second = await RawClient.connect(t, wsUrl)
  t.match(await second.register(user), { type: 'authenticated', username: user.username })
  const third = await RawClient.connect(t, wsUrl)
  t.match(await third.authenticate(user), { type: 'authenticated', username: user.username })
})

t.test('a name belongs to one key', async t => {
  const { wsUrl } = await startTestNode(t)
  const user = newUser()
  await RawClient.loggedIn(t, wsUrl, user)
  const other = await RawClient.connect(t, wsUrl)
  t.match(await other.register({ username: user.username, identity: newIdentity() }), {
    type: 'error',
    code: 'username_taken',
  })
})

t.test('of a hundred registrations that race for a name, one succeeds', async t => {
  const { wsUrl } = await startTestNode(t)
  const username = newName()
  const clients = await Promise.all(Array.from({ length: 100 }, () => RawClient.connect(t, wsUrl)))
  const answers = await Promise.all(clients.map(client => client.register({ username, identity: newIdentity() })))
  t.equal(answers.filter(({ type }) => type === 'authenticated').length, 1)
  t.equal(answers.filter(answer => answer.type === 'error' && answer.code === 'username_taken').length, 99)
})

// Evidence: K12, X8, API2
t.test('a signature counts for one purpose, domain, name, key and nonce', async t => {
  const { wsUrl } = await startTestNode(t)
  const user = newUser()
  await RawClient.loggedIn(t, wsUrl, user)
  const { username, identity } = user
  const nonceOfAnother = (await (await RawClient.connect(t, wsUrl)).next('challenge')).nonce
  const wrong: ((nonce: string) => string)[] = [
    nonce => prove(identity, { purpose: 'register', username, nonce }),
    nonce => prove(identity, { purpose: 'delete', username, nonce }),
    nonce => prove(identity, { purpose: 'authenticate', username, nonce, domain: 'other.example' }),
    nonce => prove(identity, { purpose: 'authenticate', username: newName(), nonce }),
    nonce => prove(newIdentity(), { purpose: 'authenticate', username, nonce }),
    () => prove(identity, { purpose: 'authenticate', username, nonce: nonceOfAnother }),
    () => encodeBase64Url(new Uint8Array(64)),
  ]
  for (const sign of wrong) {
    const client = await RawClient.connect(t, wsUrl)
    const { nonce } = await client.next('challenge')
    const answer = await client.request({ type: 'authenticate', username, signature: sign(nonce) })
    t.match(answer, { type: 'error', code: 'unauthorized' }, sign.toString())
  }
})

t.test('a nonce serves one attempt; after a failed one there is a new challenge', async t => {
  const { wsUrl } = await startTestNode(t)
  const user = newUser()
  const { username, identity } = user
  await RawClient.loggedIn(t, wsUrl, user)
  const client = await RawClient.connect(t, wsUrl)
  const { nonce } = await client.next('challenge')
  const signature = prove(identity, { purpose: 'authenticate', username, nonce })
  const wrong = prove(newIdentity(), { purpose: 'authenticate', username, nonce })
  t.match(await client.request({ type: 'authenticate', username, signature: wrong }), { code: 'unauthorized' })
  const second = await client.next('challenge')
  t.not(second.nonce, nonce)
  t.match(
    await client.request({ type: 'authenticate', username, signature }),
    { code: 'unauthorized' },
    'the first nonce is gone',
  )
  t.match(await client.authenticate(user), { type: 'authenticated' }, 'the third one is good')
})

t.test('the third failed login closes with 4401', async t => {
  const { wsUrl } = await startTestNode(t)
  const client = await RawClient.connect(t, wsUrl)
  const stranger = newUser()
  t.match(await client.authenticate(stranger), { code: 'unauthorized' })
  t.match(await client.authenticate(stranger), { code: 'unauthorized' })
  t.match(await client.authenticate(stranger), { code: 'unauthorized' })
  t.equal((await client.closed).code, 4401)
  t.equal(client.received.filter(({ type }) => type === 'challenge').length, 3)
})

// Evidence: X6, A5
t.test('an unknown name and a wrong key get the same error', async t => {
  const { wsUrl } = await startTestNode(t)
  const user = newUser()
  await RawClient.loggedIn(t, wsUrl, user)
  const answers = []
  for (const username of [user.username, newName()]) {
    const client = await RawClient.connect(t, wsUrl)
    answers.push(await client.authenticate({ username, identity: newIdentity() }))
  }
  const [known, unknown] = answers.map(answer => JSON.stringify(answer))
  t.equal(known, unknown)
})

t.test('keys that are not valid identities are refused', async t => {
  const { wsUrl } = await startTestNode(t)
  const bad = {
    zero: new Uint8Array(32),
    neutral: Uint8Array.from({ length: 32 }, (_, index) => (index === 0 ? 1 : 0)),
    'not canonical': Uint8Array.from({ length: 32 }, (_, index) => (index === 0 ? 0xee : index === 31 ? 0x7f : 0xff)),
  }
  for (const [name, key] of Object.entries(bad)) {
    const client = await RawClient.connect(t, wsUrl)
    const { nonce } = await client.next('challenge')
    const username = newName()
    const signature = prove(newIdentity(), { purpose: 'register', username, nonce })
    const answer = await client.request({ type: 'register', username, identity: encodeBase64Url(key), signature })
    t.match(answer, { type: 'error', code: 'unauthorized' }, name)
  }
})

t.test('an invalid name is invalid_username', async t => {
  const { wsUrl } = await startTestNode(t)
  const client = await RawClient.connect(t, wsUrl)
  t.match(await client.register({ username: 'Al:ice', identity: newIdentity() }), { code: 'invalid_username' })
  t.match(await client.register(newUser()), { type: 'authenticated' }, 'a new challenge came')
})

t.test('a token logs in, and another one does not', async t => {
  const { wsUrl } = await startTestNode(t)
  const user = newUser()
  const client = await RawClient.connect(t, wsUrl)
  const answer = await client.register(user)
  const token = answer.type === 'authenticated' ? answer.token : ''
  const second = await RawClient.connect(t, wsUrl)
  t.match(await second.request({ type: 'authenticate', token }), {
    type: 'authenticated',
    username: user.username,
    token,
  })
  const third = await RawClient.connect(t, wsUrl)
  t.match(await third.request({ type: 'authenticate', token: 'A'.repeat(43) }), { type: 'error', code: 'unauthorized' })
})

// Evidence: P5
t.test('a second login on a connection is bad_frame', async t => {
  const { wsUrl } = await startTestNode(t)
  const client = await RawClient.loggedIn(t, wsUrl)
  t.match(await client.request({ type: 'authenticate', token: 'A'.repeat(43) }), { code: 'bad_frame' })
  const { username, identity } = newUser()
  const request = { type: 'register', username, identity: identityText(identity), signature: 'A'.repeat(86) }
  t.match(await client.request(request), { code: 'bad_frame' })
})

// Evidence: L9, X6
t.test('registration may be closed, or need an invite', async t => {
  for (const REGISTRATION of ['closed', 'invite']) {
    const { wsUrl } = await startTestNode(t, { REGISTRATION })
    const client = await RawClient.connect(t, wsUrl)
    t.match(await client.register(newUser()), { type: 'error', code: 'forbidden' }, REGISTRATION)
  }
})

t.test('logout answers, closes with 1000, and ends the other sockets of the token with 4401', async t => {
  const { wsUrl } = await startTestNode(t)
  const client = await RawClient.connect(t, wsUrl)
  const user: User = newUser()
  const answer = await client.register(user)
  const token = answer.type === 'authenticated' ? answer.token : ''
  const twin = await RawClient.connect(t, wsUrl)
  await twin.request({ type: 'authenticate', token })
  const stranger = await RawClient.loggedIn(t, wsUrl, user)
  await client.request({ type: 'listen' })
  t.match(await client.request({ type: 'logout' }), { type: 'stopped' })
  t.equal((await client.closed).code, 1000)
  t.equal((await twin.closed).code, 4401)
  const late = await RawClient.connect(t, wsUrl)
  t.match(await late.request({ type: 'authenticate', token }), { code: 'unauthorized' })
  t.match(await stranger.request({ type: 'heartbeat' }), { type: 'heartbeat' }, 'another token of the user lives on')
})

// Evidence: W8, A4
t.test('a session that expires closes its sockets with 4401', async t => {
  const { wsUrl } = await startTestNode(t, { SESSION_TTL_S: '1' })
  const client = await RawClient.loggedIn(t, wsUrl)
  t.equal((await client.closed).code, 4401)
})

// Evidence: W12
t.test('before login nothing but a login and a heartbeat is answered', async t => {
  const { wsUrl } = await startTestNode(t)
  const client = await RawClient.connect(t, wsUrl)
  for (const frame of [
    { type: 'listen' },
    { type: 'send', to: 'bob', body: 'AAAA' },
    { type: 'list_users' },
    { type: 'logout' },
    { type: 'stop' },
  ]) {
    t.match(await client.request(frame), { type: 'error', code: 'unauthorized' }, frame.type)
  }
})

t.test('18.14 a user is seen at each login, and by its frames and calls at most once a minute', async t => {
  const store = openTestStore()
  const seen: string[] = []
  const noteSeen = (username: Username) => {
    seen.push(username)
    return store.users.noteSeen(username)
  }
  const { url, wsUrl } = await startTestNode(t, {}, { store: withFaults(store, { users: { noteSeen } }) })
  const user = newUser()
  const socket = await RawClient.loggedIn(t, wsUrl, user)
  const before = (await store.users.find(parseUsername(user.username)))?.lastSeenAt ?? 0
  for (let at = 0; at < 20; at += 1) await socket.request({ type: 'heartbeat' })
  t.same(seen, [user.username], 'frames write nothing more')
  const http = new HttpClient(url)
  const { body } = await http.login(user)
  http.token = String(body.token)
  t.equal(seen.length, 2, 'a login over HTTP')
  await http.call('GET', '/v1/users')
  t.equal(seen.length, 2, 'a call of the same minute')
  const again = await RawClient.connect(t, wsUrl)
  await again.request({ type: 'authenticate', token: http.token })
  t.equal(seen.length, 3, 'a login with a token')
  t.ok(((await store.users.find(parseUsername(user.username)))?.lastSeenAt ?? 0) >= before)

  const clock = new ManualClock()
  const written: string[] = []
  let isDown = false
  const write = async (username: string) => {
    if (isDown) throw new Error('the store is out of reach')
    written.push(username)
  }
  const lastSeen = new LastSeen({ noteSeen: write }, { ...systemClock, elapsed: clock.elapsed })
  const alice = parseUsername('alice')
  lastSeen.note(alice)
  clock.pass(59_999)
  lastSeen.note(alice)
  t.equal(written.length, 1)
  clock.pass(1)
  lastSeen.note(alice)
  t.equal(written.length, 2)
  isDown = true
  lastSeen.loggedIn(alice)
  await setImmediate()
  isDown = false
  lastSeen.note(alice)
  t.equal(written.length, 3, 'a contact that could not be written is written with the next one')
})
