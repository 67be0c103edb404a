import t from 'tap'
import { parseUsername } from '../../../src/protocol/names.ts'
import { StoreUnavailableError } from '../../../src/server/store/store.ts'
import { defer } from '../../../src/util/deferred.ts'
import { HttpClient } from '../../../tools/clients/http-client.ts'
import { newUser, prove, RawClient } from '../../../tools/clients/raw-client.ts'
import { openTestStore, startTestNode, startTestNodes, withFaults } from '../../../tools/servers/running-node.ts'

const refused = { status: 401, body: { code: 'unauthorized' } }

// Evidence: L3
t.test('a wait for mail ends with its login, whichever node ended it, and returns nothing more', async t => {
  const [first, second] = await startTestNodes(t, 2)
  if (!first || !second) return t.fail('two nodes')
  const user = newUser()
  const reader = await HttpClient.loggedIn(first.url, user)
  await reader.call('GET', '/v1/inbox')
  const waiting = reader.call('GET', '/v1/inbox?wait=50')
  await reader.call('GET', '/v1/inbox')
  const elsewhere = new HttpClient(second.url, reader.token)
  t.match(await elsewhere.call('DELETE', '/v1/auth/token'), { status: 204 })
  t.match(await waiting, refused)
})

// Evidence: W8
t.test('a wait for mail ends when its login expires', async t => {
  const { url } = await startTestNode(t, { SESSION_TTL_S: '1' })
  const reader = await HttpClient.loggedIn(url, newUser())
  t.match(await reader.call('GET', '/v1/inbox?wait=50'), refused)
  t.match(await reader.call('GET', '/v1/users'), refused)
})

t.test('a token revoked at one node is invalid at the other', async t => {
  const [first, second] = await startTestNodes(t, 2)
  if (!first || !second) return t.fail('two nodes')
  const client = await HttpClient.loggedIn(first.url, newUser())
  const elsewhere = new HttpClient(second.url, client.token)
  t.match(await elsewhere.call('GET', '/v1/users'), { status: 200 })
  await client.call('DELETE', '/v1/auth/token')
  t.match(await elsewhere.call('GET', '/v1/users'), refused)
  const socket = await RawClient.connect(t, second.wsUrl)
  t.match(await socket.request({ type: 'authenticate', token: client.token }), { code: 'unauthorized' })
})

// Evidence: L3
t.test('a user that is deleted while it logs in is not logged in', async t => {
  const inner = openTestStore()
  const [created, go] = [defer<void>(), defer<void>()]
  let hold = false
  const store = withFaults(inner, {
    logins: {
      create: async (...login) => {
        const answer = await inner.logins.create(...login)
        if (!hold) return answer
        created.resolve()
        await go.promise
        return answer
      },
    },
  })
  const { wsUrl } = await startTestNode(t, {}, { store })
  const user = newUser()
  await RawClient.loggedIn(t, wsUrl, user)
  hold = true
  const client = await RawClient.connect(t, wsUrl)
  const answer = client.authenticate(user)
  await created.promise
  await inner.users.delete(parseUsername(user.username))
  go.resolve()
  t.match(await answer, { type: 'error', code: 'unauthorized' })
  t.match(await client.request({ type: 'listen' }), { code: 'unauthorized' })
})

t.test('a failed logout changes nothing', async t => {
  const inner = openTestStore()
  let isDown = true
  const store = withFaults(inner, {
    logins: {
      revoke: token => (isDown ? Promise.reject(new StoreUnavailableError('gone')) : inner.logins.revoke(token)),
    },
  })
  const { wsUrl } = await startTestNode(t, {}, { store })
  const client = await RawClient.listening(t, wsUrl)
  t.match(await client.request({ type: 'logout' }), { type: 'error', code: 'unavailable' })
  await client.request({ type: 'send', id: 'm', to: client.user.username, body: 'AAAA' })
  t.equal((await client.pushes(1))[0]?.id, 'm', 'it still listens')
  isDown = false
  t.match(await client.request({ type: 'logout' }), { type: 'stopped' })
  t.equal((await client.closed).code, 1000)
})

// Evidence: L2, A1
t.test('a nonce is valid for one transport, name and purpose only', async t => {
  const { url, wsUrl } = await startTestNode(t)
  const user = newUser()
  const { username, identity } = user
  const client = await HttpClient.loggedIn(url, user)
  const overHttp = await client.nonce(username)
  const socket = await RawClient.connect(t, wsUrl)
  const { nonce: overSocket } = await socket.next('challenge')
  const signed = (nonce: string) => prove(identity, { purpose: 'authenticate', username, nonce })
  t.match(await socket.request({ type: 'authenticate', username, signature: signed(overHttp) }), {
    code: 'unauthorized',
  })
  t.match(
    await client.call('POST', '/v1/auth/token', { username, nonce: overSocket, signature: signed(overSocket) }),
    refused,
  )
  const login = { username, nonce: overHttp, signature: signed(overHttp) }
  t.match(await client.call('POST', '/v1/auth/token', login), { status: 200 })
  t.match(await client.call('POST', '/v1/auth/token', login), refused, 'and no nonce is valid a second time')
  const deletion = await client.nonce(username)
  const wrong = {
    nonce: deletion,
    signature: prove(newUser().identity, { purpose: 'delete', username, nonce: deletion }),
  }
  t.match(await client.call('DELETE', `/v1/users/${username}`, wrong), refused)
  const right = { nonce: deletion, signature: prove(identity, { purpose: 'delete', username, nonce: deletion }) }
  t.match(await client.call('DELETE', `/v1/users/${username}`, right), refused, 'it was used by the wrong one')
})

// Evidence: L2
t.test('challenges that others request for a name do not prevent its logins', async t => {
  const { url } = await startTestNode(t)
  const user = newUser()
  const { username, identity } = user
  const client = await HttpClient.loggedIn(url, user)
  const nonce = await client.nonce(username)
  for (let index = 0; index < 20; index += 1) {
    const theirs = await client.nonce(username)
    const wrong = {
      username,
      nonce: theirs,
      signature: prove(newUser().identity, { purpose: 'authenticate', username, nonce: theirs }),
    }
    t.match(await client.call('POST', '/v1/auth/token', wrong), refused)
  }
  const signature = prove(identity, { purpose: 'authenticate', username, nonce })
  t.match(await client.call('POST', '/v1/auth/token', { username, nonce, signature }), { status: 200 })
})
