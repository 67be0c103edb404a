import t, { type Test } from 'tap'
import { type ErrorCode, errors, isErrorCode } from '../../../src/protocol/errors.ts'
import type { ServerFrame } from '../../../src/protocol/frames.ts'
import { limits } from '../../../src/protocol/limits.ts'
import { StoreUnavailableError } from '../../../src/server/store/store.ts'
import { type Answer, HttpClient } from '../../../tools/clients/http-client.ts'
import { newPublisher } from '../../../tools/clients/published-bundles.ts'
import { newIdentity, newName, newUser, RawClient } from '../../../tools/clients/raw-client.ts'
import { openTestStore, type StoreFaults, startTestNode, withFaults } from '../../../tools/servers/running-node.ts'

type Provocation = {
  /** The settings and faults of the node that the provocation needs. */
  env?: Record<string, string>
  faults?: StoreFaults
  /** `null` means that the error cannot occur over this transport. */
  socket: ((client: RawClient, username: string, dialled: { t: Test; wsUrl: string }) => Promise<ServerFrame>) | null
  http: ((client: HttpClient, username: string, dialled: { url: string }) => Promise<Answer>) | null
}

const gone = () => Promise.reject(new StoreUnavailableError('gone'))
const message = { id: 'm', body: 'AAAA' }
const post = (client: HttpClient, body: object) => client.call('POST', '/v1/messages', { ...message, ...body })
const send = (client: RawClient, frame: object) => client.request({ type: 'send', ...message, ...frame })

/** Provokes each error of the table. The compiler checks that none is missing. */
const provocations: Record<ErrorCode, Provocation> = {
  bad_frame: {
    socket: client => client.request({ type: 'nonsense' }),
    http: (client, to) => post(client, { to, id: 'a b' }),
  },
  bad_ack: {
    socket: async client => {
      await client.request({ type: 'listen' })
      client.send({ type: 'ack', seq: 1 })
      return client.next('error')
    },
    http: async client => {
      const { epoch } = (await client.call('GET', '/v1/inbox')).body
      return client.call('POST', '/v1/inbox/ack', { seq: 1, epoch })
    },
  },
  invalid_username: {
    socket: client => send(client, { to: 'A:b' }),
    http: client => post(client, { to: 'A:b' }),
  },
  unauthorized: {
    socket: async (_client, _username, { t, wsUrl }) => (await RawClient.connect(t, wsUrl)).request({ type: 'listen' }),
    http: (_client, _username, { url }) => new HttpClient(url).call('GET', '/v1/users'),
  },
  forbidden: {
    env: { REGISTRATION: 'closed' },
    socket: async (_client, _username, { t, wsUrl }) => (await RawClient.connect(t, wsUrl)).register(newUser()),
    http: client => client.register(newUser()),
  },
  unknown_user: {
    socket: client => send(client, { to: newName() }),
    http: client => client.call('GET', `/v1/users/${newName()}`),
  },
  not_found: {
    socket: client => client.request({ type: 'end_sessions', session: 'x'.repeat(16) }),
    http: client => client.call('GET', '/v1/nothing'),
  },
  no_keys: {
    socket: (client, username) => client.request({ type: 'fetch_keys', username }),
    http: (client, username) => client.call('POST', `/v1/users/${username}/keys`, { id: '1' }),
  },
  username_taken: {
    socket: async (_client, username, { t, wsUrl }) =>
      (await RawClient.connect(t, wsUrl)).register({ username, identity: newIdentity() }),
    http: (client, username) => client.register({ username, identity: newIdentity() }),
  },
  id_reused: {
    socket: async (client, to) => {
      await send(client, { to })
      return send(client, { to, body: 'BBBB' })
    },
    http: async (client, to) => {
      await post(client, { to })
      return post(client, { to, body: 'BBBB' })
    },
  },
  not_listening: { socket: client => client.request({ type: 'stop' }), http: null },
  conflict: {
    socket: async (_client, _username, { t, wsUrl }) => {
      const { user, older, newer } = newPublisher()
      const client = await RawClient.loggedIn(t, wsUrl, user)
      await client.request({ type: 'publish_keys', bundle: newer })
      return client.request({ type: 'publish_keys', bundle: older })
    },
    http: async client => {
      await client.call('GET', '/v1/inbox')
      return client.call('POST', '/v1/inbox/ack', { seq: 0, epoch: 1 })
    },
  },
  message_too_large: {
    socket: (client, to) => send(client, { to, body: 'A'.repeat(limits.maxBodyChars + 1) }),
    http: (client, to) => post(client, { to, body: 'A'.repeat(limits.maxBodyChars + 1) }),
  },
  rate_limited: {
    socket: async client => {
      const fetches = limits.maxFetchesPerRequester * 1.2
      for (let index = 0; index < fetches; index += 1)
        client.send({ type: 'fetch_keys', id: `f${index}`, username: 'bob' })
      return client.find(answer => answer.type === 'error' && answer.code === 'rate_limited')
    },
    http: async client => {
      const answers = await Promise.all(Array.from({ length: 50 }, () => client.call('PUT', '/v1/keys', {})))
      return answers.find(({ status }) => status !== 200) ?? client.call('GET', '/v1/users')
    },
  },
  internal: {
    faults: {
      users: {
        list: () => {
          throw new TypeError('a fault')
        },
      },
    },
    socket: client => client.request({ type: 'list_users' }),
    http: client => client.call('GET', '/v1/users'),
  },
  unavailable: {
    faults: { users: { list: gone } },
    socket: client => client.request({ type: 'list_users' }),
    http: client => client.call('GET', '/v1/users'),
  },
  inbox_full: {
    env: { INBOX_MAX_MESSAGES: '1' },
    socket: async (client, to) => {
      await send(client, { to })
      return send(client, { to, id: 'n' })
    },
    http: async (client, to) => {
      await post(client, { to })
      return post(client, { to, id: 'n' })
    },
  },
}

/** A node whose only user registered before the settings and faults of the provocation apply. */
async function startProvoked(t: Test, { env = {}, faults = {} }: Provocation) {
  const inner = openTestStore(env)
  const user = newUser()
  const open = await startTestNode(t, {}, { store: withFaults(inner, { close: async () => {} }) })
  const token = (await HttpClient.loggedIn(open.url, user)).token
  return { user, token, ...(await startTestNode(t, env, { store: withFaults(inner, faults) })) }
}

for (const [code, provocation] of Object.entries(provocations)) {
  const entry = isErrorCode(code) ? errors[code] : undefined
  const { socket, http } = provocation

  if (socket) {
    t.test(`${code} answers a frame`, async t => {
      const { user, token, wsUrl } = await startProvoked(t, provocation)
      const client = await RawClient.connect(t, wsUrl)
      await client.request({ type: 'authenticate', token })
      const answer = await socket(client, user.username, { t, wsUrl })
      t.match(answer, {
        type: 'error',
        code,
        message: String,
        ...(entry?.retry === 'yes' && code !== 'internal' && { retryAfter: Number }),
      })
      t.equal(client.socket.readyState, client.socket.OPEN, 'and the connection stays open')
    })
  }

  if (http) {
    t.test(`${code} answers a call with ${entry?.http}`, async t => {
      const { user, token, url } = await startProvoked(t, provocation)
      const answer = await http(new HttpClient(url, token), user.username, { url })
      const { status, body, headers } = answer
      t.equal(status, entry?.http)
      t.match(body, { type: 'about:blank', title: String, status, code, detail: String })
      t.equal(headers.get('content-type'), 'application/problem+json')
      t.equal(headers.get('retry-after'), body.retryAfter === undefined ? null : String(body.retryAfter))
    })
  }
}

// Evidence: D14
t.test('every error of the table is covered', async t => {
  t.same(Object.keys(provocations).sort(), Object.keys(errors).sort())
  for (const [code, { socket, http }] of Object.entries(provocations)) t.ok(socket ?? http, code)
})
