import t from 'tap'
import { HttpClient } from '../../../tools/clients/http-client.ts'
import { newPublisher } from '../../../tools/clients/published-bundles.ts'
import { newUser, RawClient } from '../../../tools/clients/raw-client.ts'
import { startTestNode } from '../../../tools/servers/running-node.ts'

const flipLast = (text: string): string => `${text.slice(0, -2)}${text.at(-2) === 'A' ? 'B' : 'A'}${text.at(-1)}`

// Evidence: K10
t.test('keys are published over one transport and fetched over the other, one-time keys once', async t => {
  const { url, wsUrl } = await startTestNode(t)
  const { user, newer: bundle, oneTimeKeys, oneTimeKemKeys } = newPublisher()
  const owner = await HttpClient.loggedIn(url, user)
  t.match(await owner.call('PUT', '/v1/keys', { bundle, oneTimeKeys, oneTimeKemKeys }), {
    status: 200,
    body: { oneTimeKeys: 1, oneTimeKemKeys: 1 },
  })
  const reader = await RawClient.loggedIn(t, wsUrl)
  const fetch = (id: string) => reader.request({ type: 'fetch_keys', id, username: `${user.username}@localhost` })
  const keys = { type: 'keys', username: user.username, bundle }
  const first = await fetch('1')
  t.same(first, { ...keys, id: '1', oneTimeKey: oneTimeKeys[0], oneTimeKemKey: oneTimeKemKeys[0] })
  t.same(await fetch('2'), { ...keys, id: '2' }, 'and the next fetch gets none')
  t.same(await fetch('1'), first, 'the same id gets the same answer')
})

// Evidence: K4
t.test('an upload with any signature not by its owner is refused as a whole', async t => {
  const { wsUrl } = await startTestNode(t)
  const publisher = newPublisher()
  const stranger = newPublisher()
  const { newer: bundle, oneTimeKeys, oneTimeKemKeys } = publisher
  const client = await RawClient.loggedIn(t, wsUrl, publisher.user)
  const wrong: [string, object][] = [
    ['a damaged bundle', { bundle: flipLast(bundle), oneTimeKeys }],
    ["another user's bundle", { bundle: stranger.newer, oneTimeKeys }],
    ['a bundle cut short', { bundle: bundle.slice(0, -4), oneTimeKeys }],
    ['another signature', { bundle, oneTimeKeys, oneTimeKemKeys: stranger.oneTimeKemKeys }],
    ['a second spelling', { oneTimeKeys: [{ id: 9, key: `${'A'.repeat(42)}B` }] }],
  ]
  for (const [what, upload] of wrong) {
    t.match(await client.request({ type: 'publish_keys', ...upload }), { type: 'error', code: 'bad_frame' }, what)
  }
  t.match(await client.request({ type: 'fetch_keys', username: publisher.user.username }), { code: 'no_keys' })
  t.match(await client.request({ type: 'publish_keys', bundle, oneTimeKemKeys }), {
    type: 'published',
    oneTimeKeys: 0,
    oneTimeKemKeys: 1,
  })
})

t.test('a bundle of the right key for another address is refused', async t => {
  const { wsUrl } = await startTestNode(t)
  const { user, newer: bundle } = newPublisher()
  const renamed = await RawClient.loggedIn(t, wsUrl, { ...newUser(), identity: user.identity })
  t.match(await renamed.request({ type: 'publish_keys', bundle }), { code: 'bad_frame', message: /address/ })
})

t.test('an older bundle does not replace a newer one, and its one-time keys are not stored', async t => {
  const { wsUrl } = await startTestNode(t)
  const { user, older, newer, oneTimeKeys } = newPublisher()
  const client = await RawClient.loggedIn(t, wsUrl, user)
  await client.request({ type: 'publish_keys', bundle: newer })
  t.match(await client.request({ type: 'publish_keys', bundle: older, oneTimeKeys }), { code: 'conflict' })
  const keys = await client.request({ type: 'fetch_keys', username: user.username })
  t.same({ ...keys, id: '' }, { type: 'keys', id: '', username: user.username, bundle: newer })
})
