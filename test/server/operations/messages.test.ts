import t from 'tap'
import type { ServerFrame } from '../../../src/protocol/frames.ts'
import { limits } from '../../../src/protocol/limits.ts'
import { bodyOf, isPush, newName, newUser, type Push, RawClient } from '../../../tools/clients/raw-client.ts'
import { startTestNode } from '../../../tools/servers/running-node.ts'

const codeOf = (frame: ServerFrame): string => (frame.type === 'error' ? frame.code : frame.type)
const seqOf = (frame: ServerFrame): number => (frame.type === 'accepted' ? frame.seq : 0)

/** Returns true if each push names the previous `seq` in `prev`, and the first one 0. */
function isChained(pushed: readonly Push[]): boolean {
  return pushed.every(({ prev, seq }, index) => prev === (pushed[index - 1]?.seq ?? 0) && seq > prev)
}

t.test('a message goes from sender to recipient, and is removed once acknowledged', async t => {
  const { wsUrl } = await startTestNode(t)
  const bob = await RawClient.listening(t, wsUrl)
  const alice = await RawClient.loggedIn(t, wsUrl)
  const answer = await alice.request({ type: 'send', id: 'm1', to: bob.user.username, body: bodyOf('hello') })
  t.match(answer, { type: 'accepted', id: 'm1', seq: Number, queued: false })
  const [push] = await bob.pushes(1)
  t.match(push, {
    type: 'message',
    seq: seqOf(answer),
    prev: 0,
    id: 'm1',
    from: alice.user.username,
    body: bodyOf('hello'),
    sentAt: Number,
  })
  bob.send({ type: 'ack', seq: seqOf(answer) })
  t.match(await bob.request({ type: 'stop' }), { type: 'stopped' })
  t.match(await bob.request({ type: 'listen' }), { type: 'listening', queued: 0 })
})

t.test('a key exchange is delivered as a key exchange', async t => {
  const { wsUrl } = await startTestNode(t)
  const bob = await RawClient.listening(t, wsUrl)
  const alice = await RawClient.loggedIn(t, wsUrl)
  await alice.request({ type: 'key_exchange', to: `${bob.user.username}@localhost`, body: bodyOf('offer') })
  t.equal((await bob.pushes(1))[0]?.type, 'key_exchange')
})

t.test('an agent may write to itself', async t => {
  const { wsUrl } = await startTestNode(t)
  const alice = await RawClient.listening(t, wsUrl)
  t.match(await alice.request({ type: 'send', to: alice.user.username, body: 'AAAA' }), { type: 'accepted' })
  t.equal((await alice.pushes(1))[0]?.from, alice.user.username)
})

// Evidence: D1
t.test('mail for an offline user waits, and connections that do not listen get none of it', async t => {
  const { wsUrl } = await startTestNode(t)
  const bob = await RawClient.loggedIn(t, wsUrl)
  const alice = await RawClient.loggedIn(t, wsUrl)
  for (let index = 0; index < 3; index += 1) {
    const answer = await alice.request({ type: 'send', id: `m${index}`, to: bob.user.username, body: 'AAAA' })
    t.match(answer, { type: 'accepted', queued: true })
  }
  await bob.request({ type: 'list_users' })
  t.notOk(bob.received.some(isPush))
  const later = await RawClient.loggedIn(t, wsUrl, bob.user)
  t.match(await later.request({ type: 'listen' }), { type: 'listening', queued: 3 })
  t.same(
    (await later.pushes(3)).map(({ id }) => id),
    ['m0', 'm1', 'm2'],
  )
})

// Evidence: D1
t.test('envelopes that are not acknowledged are pushed again, in the same order', async t => {
  const { wsUrl } = await startTestNode(t)
  const bob = await RawClient.listening(t, wsUrl)
  const alice = await RawClient.loggedIn(t, wsUrl)
  for (const id of ['a', 'b', 'c']) await alice.request({ type: 'send', id, to: bob.user.username, body: 'AAAA' })
  const [first] = await bob.pushes(3)
  bob.send({ type: 'ack', seq: first?.seq })
  await bob.request({ type: 'stop' })
  const again = await RawClient.listening(t, wsUrl, bob.user)
  const pushed = await again.pushes(2)
  t.same(
    pushed.map(({ id }) => id),
    ['b', 'c'],
  )
  t.ok(isChained(pushed))
})

// Evidence: D2
t.test('a queue of 300 comes in order, each once, with the window between', async t => {
  const { wsUrl } = await startTestNode(t)
  const bob = await RawClient.loggedIn(t, wsUrl)
  const alice = await RawClient.loggedIn(t, wsUrl)
  const from = alice.received.length
  for (let index = 0; index < 300; index += 1)
    alice.send({ type: 'send', id: `m${index}`, to: bob.user.username, body: 'AAAA' })
  await alice.find(frame => frame.type === 'accepted' && frame.id === 'm299', from)
  t.match(await bob.request({ type: 'listen' }), { queued: 300 })
  const window = await bob.pushes(limits.maxUnacked)
  await bob.request({ type: 'heartbeat' })
  await alice.request({ type: 'send', id: 'late', to: bob.user.username, body: 'AAAA' })
  await bob.request({ type: 'heartbeat' })
  t.equal(bob.received.filter(isPush).length, limits.maxUnacked, 'and not one more')
  bob.send({ type: 'ack', seq: window.at(-1)?.seq })
  const all = await bob.pushes(301)
  t.ok(isChained(all))
  t.same(
    all.map(({ id }) => id),
    [...Array.from({ length: 300 }, (_, index) => `m${index}`), 'late'],
  )
})

// Evidence: D2
t.test('the byte window delays large messages', async t => {
  const { wsUrl } = await startTestNode(t)
  const bob = await RawClient.loggedIn(t, wsUrl)
  const alice = await RawClient.loggedIn(t, wsUrl)
  const body = 'A'.repeat(limits.maxBodyChars)
  for (let index = 0; index < 10; index += 1) await alice.request({ type: 'send', to: bob.user.username, body })
  await bob.request({ type: 'listen' })
  const fitting = Math.floor(limits.maxUnackedBytes / limits.maxBodyChars)
  const pushed = await bob.pushes(fitting)
  await bob.request({ type: 'heartbeat' })
  t.equal(bob.received.filter(isPush).length, fitting)
  bob.send({ type: 'ack', seq: pushed.at(-1)?.seq })
  t.ok(isChained(await bob.pushes(10)))
})

// Evidence: D5, C11
t.test('the queue races new messages, and no stream has a gap', async t => {
  const { wsUrl } = await startTestNode(t)
  const bob = await RawClient.loggedIn(t, wsUrl)
  const alice = await RawClient.loggedIn(t, wsUrl)
  const send = (index: number) => alice.send({ type: 'send', id: `m${index}`, to: bob.user.username, body: 'AAAA' })
  for (let index = 0; index < 100; index += 1) send(index)
  bob.send({ type: 'listen', id: 'l' })
  for (let index = 100; index < 250; index += 1) {
    send(index)
    if (index % 10 === 0) await new Promise(resolve => setImmediate(resolve))
  }
  const pushed = await bob.pushes(250)
  t.ok(isChained(pushed))
  t.same(
    pushed.map(({ id }) => id),
    Array.from({ length: 250 }, (_, index) => `m${index}`),
  )
})

// Evidence: C13
t.test('an acknowledgement above what was pushed is bad_ack and changes nothing', async t => {
  const { wsUrl } = await startTestNode(t)
  const bob = await RawClient.listening(t, wsUrl)
  const alice = await RawClient.loggedIn(t, wsUrl)
  await alice.request({ type: 'send', id: 'm', to: bob.user.username, body: 'AAAA' })
  const [push] = await bob.pushes(1)
  bob.send({ type: 'ack', seq: (push?.seq ?? 0) + 1 })
  t.match(await bob.next('error'), { code: 'bad_ack' })
  bob.send({ type: 'ack', seq: 0 })
  await bob.request({ type: 'stop' })
  t.match(await bob.request({ type: 'listen' }), { queued: 1 })
})

t.test('stop releases the claim and nothing is pushed after it', async t => {
  const { wsUrl } = await startTestNode(t)
  const bob = await RawClient.listening(t, wsUrl)
  const alice = await RawClient.loggedIn(t, wsUrl)
  for (let index = 0; index < 50; index += 1)
    alice.send({ type: 'send', id: `m${index}`, to: bob.user.username, body: 'AAAA' })
  t.match(await bob.request({ type: 'stop' }), { type: 'stopped' })
  await alice.request({ type: 'send', id: 'after', to: bob.user.username, body: 'AAAA' })
  await bob.request({ type: 'heartbeat' })
  const stopped = bob.received.findIndex(({ type }) => type === 'stopped')
  t.notOk(bob.received.slice(stopped).some(isPush))
  t.match(await bob.request({ type: 'stop' }), { code: 'not_listening' })
  bob.send({ type: 'ack', seq: 1 })
  t.match(await bob.next('error'), { code: 'not_listening' })
})

t.test('a second listen returns the existing claim', async t => {
  const { wsUrl } = await startTestNode(t)
  const bob = await RawClient.loggedIn(t, wsUrl)
  const first = await bob.request({ type: 'listen' })
  const second = await bob.request({ type: 'listen' })
  t.equal(second.type, 'listening')
  t.same({ ...second, id: '' }, { ...first, id: '' })
})

t.test('keys_low follows listening while a pool is low', async t => {
  const { wsUrl } = await startTestNode(t)
  const bob = await RawClient.listening(t, wsUrl)
  t.match(await bob.next('keys_low'), { oneTimeKeys: 0, oneTimeKemKeys: 0 })
  const types = bob.received.map(({ type }) => type)
  t.ok(types.indexOf('keys_low') > types.indexOf('listening'))
})

// Evidence: D9, C10
t.test('the same id and body is stored once and gets the same seq; another body is id_reused', async t => {
  const { wsUrl } = await startTestNode(t)
  const bob = await RawClient.listening(t, wsUrl)
  const alice = await RawClient.loggedIn(t, wsUrl)
  const frame = { type: 'send', id: 'm', to: bob.user.username, body: 'AAAA' }
  const first = await alice.request(frame)
  t.equal(seqOf(await alice.request(frame)), seqOf(first))
  t.match(await alice.request({ ...frame, body: 'BBBB' }), { type: 'error', id: 'm', code: 'id_reused' })
  const elsewhere = await RawClient.loggedIn(t, wsUrl, alice.user)
  t.equal(seqOf(await elsewhere.request(frame)), seqOf(first), 'on another connection, too')
  await bob.request({ type: 'heartbeat' })
  t.equal(bob.received.filter(isPush).length, 1)
})

// Evidence: D11
t.test('a send to an unknown user, an invalid name or another domain is refused', async t => {
  const { wsUrl } = await startTestNode(t)
  const alice = await RawClient.loggedIn(t, wsUrl)
  const cases = {
    [newName()]: 'unknown_user',
    [`${alice.user.username}@other.example`]: 'unknown_user',
    'Al:ice': 'invalid_username',
    '': 'invalid_username',
  }
  for (const [to, code] of Object.entries(cases)) {
    t.equal(codeOf(await alice.request({ type: 'send', to, body: 'AAAA' })), code, to)
  }
})

// Evidence: L1
t.test('a body over the limit is message_too_large', async t => {
  const { wsUrl } = await startTestNode(t)
  const alice = await RawClient.listening(t, wsUrl)
  const send = (length: number) => alice.request({ type: 'send', to: alice.user.username, body: 'A'.repeat(length) })
  t.equal(codeOf(await send(limits.maxBodyChars + 1)), 'message_too_large')
  t.equal(codeOf(await send(limits.maxBodyChars)), 'accepted')
})

// Evidence: D8
t.test('a full inbox is inbox_full; later sends are refused too until the refused id is repeated', async t => {
  const { wsUrl } = await startTestNode(t, { INBOX_MAX_MESSAGES: '2' })
  const bob = await RawClient.loggedIn(t, wsUrl)
  const alice = await RawClient.loggedIn(t, wsUrl)
  const send = (id: string) => alice.request({ type: 'send', id, to: bob.user.username, body: 'AAAA' })
  t.equal(codeOf(await send('1')), 'accepted')
  t.equal(codeOf(await send('2')), 'accepted')
  t.match(await send('3'), { type: 'error', id: '3', code: 'inbox_full', retryAfter: Number })
  await bob.request({ type: 'listen' })
  const pushed = await bob.pushes(2)
  bob.send({ type: 'ack', seq: pushed.at(-1)?.seq })
  await bob.request({ type: 'stop' })
  t.equal(codeOf(await send('4')), 'inbox_full', 'it must not overtake')
  t.equal(codeOf(await send('3')), 'accepted')
  t.equal(codeOf(await send('4')), 'accepted')
  await bob.request({ type: 'listen' })
  t.same(
    (await bob.pushes(4)).map(({ id }) => id),
    ['1', '2', '3', '4'],
  )
})

// Evidence: D12
t.test('an envelope that was not fetched expires after its ttl', async t => {
  const { wsUrl } = await startTestNode(t)
  const bob = await RawClient.loggedIn(t, wsUrl)
  const alice = await RawClient.loggedIn(t, wsUrl)
  await alice.request({ type: 'send', id: 'short', to: bob.user.username, body: 'AAAA', ttl: 1 })
  await alice.request({ type: 'send', id: 'long', to: bob.user.username, body: 'AAAA', ttl: 10 ** 12 })
  await new Promise(resolve => setTimeout(resolve, 1_100))
  await bob.request({ type: 'listen' })
  t.equal((await bob.pushes(1))[0]?.id, 'long')
})

t.test('a number that is reserved never goes down', async t => {
  const { wsUrl } = await startTestNode(t)
  const user = newUser()
  const alice = await RawClient.loggedIn(t, wsUrl, user)
  t.match(await alice.request({ type: 'reserve', upTo: 1024 }), { type: 'reserved', upTo: 1024 })
  t.match(await alice.request({ type: 'reserve', upTo: 5 }), { type: 'reserved', upTo: 1024 })
  const later = await RawClient.connect(t, wsUrl)
  t.match(await later.authenticate(user), { reserved: 1024 })
})

t.test('users are listed by name, online or not, page by page', async t => {
  const { wsUrl } = await startTestNode(t)
  const prefix = newName('z').slice(0, 9)
  const names = ['a', 'b', 'c'].map(end => `${prefix}${end}`)
  for (const name of names) await RawClient.loggedIn(t, wsUrl, newUser(name))
  const listener = await RawClient.listening(t, wsUrl, newUser(`${prefix}d`))
  const list = (query: object) => listener.request({ type: 'list_users', prefix, ...query })
  const all = await list({})
  t.match(all, { type: 'user_list', cursor: null, users: [...names, `${prefix}d`].map(username => ({ username })) })
  const page = await list({ limit: 2 })
  t.match(page, { users: [{ username: names[0] }, { username: names[1] }] })
  const cursor = page.type === 'user_list' ? page.cursor : null
  t.match(await list({ limit: 2, cursor }), {
    users: [{ username: names[2] }, { username: `${prefix}d`, online: true }],
  })
  t.match(await list({ online: true }), { users: [{ username: `${prefix}d` }], cursor: null })
})
