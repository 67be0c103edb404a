import t from 'tap'
import { encodeCard } from '../../../src/crypto/keys/card.ts'
import { limits } from '../../../src/protocol/limits.ts'
import { formatAddress, parseUsername } from '../../../src/protocol/names.ts'
import { encodeBase64Url } from '../../../src/util/bytes.ts'
import { HttpClient } from '../../../tools/clients/http-client.ts'
import { newUser, RawClient, type User } from '../../../tools/clients/raw-client.ts'
import { startTestNode } from '../../../tools/servers/running-node.ts'

/** A card of a user, signed by `by`. */
function cardOf(user: User, seq = 1, by = user): string {
  const address = formatAddress(parseUsername(user.username), 'localhost')
  const content = { title: `I am ${user.username}`, capabilities: ['code'], acceptsRequests: true }
  return encodeBase64Url(encodeCard(by.identity, { address, identity: by.identity.publicKey, seq, content }))
}

t.test(
  'a card is published over one transport and fetched over the other, listed by its capabilities, and removed',
  async t => {
    const { url, wsUrl } = await startTestNode(t)
    const user = newUser()
    const { username } = user
    const owner = await HttpClient.loggedIn(url, user)
    const reader = await RawClient.loggedIn(t, wsUrl)
    const fetch = () => reader.request({ type: 'fetch_card', id: 'f', username: `${username}@localhost` })
    t.match(await fetch(), { type: 'error', code: 'not_found', message: 'the user has published no card' })
    const card = cardOf(user)
    t.match(await owner.call('PUT', '/v1/card', { card }), { status: 204 })
    t.same(await fetch(), { type: 'card', id: 'f', username, card })
    t.match(await owner.call('GET', `/v1/users/${username}/card`), { status: 200, body: { username, card } })
    const list = (query: object) => reader.request({ type: 'list_users', id: 'l', ...query })
    t.match(await list({ capability: 'code', cards: true }), { users: [{ username, card }], cursor: null })
    t.match(await list({ capability: 'other' }), { users: [] })
    t.match(await list({ capability: 'No Tag' }), { type: 'error', code: 'bad_frame' })
    t.match(await owner.call('GET', '/v1/users?capability=code&cards=true'), { body: { users: [{ username, card }] } })
    t.match(await owner.call('DELETE', '/v1/card'), { status: 204 })
    t.match(await fetch(), { type: 'error', code: 'not_found' })

    const socket = await RawClient.loggedIn(t, wsUrl, user)
    t.same(await socket.request({ type: 'publish_card', id: 'p', card }), { type: 'card_published', id: 'p' })
    t.match(await fetch(), { card })
    await socket.request({ type: 'publish_card', id: 'q' })
    t.match(await fetch(), { type: 'error', code: 'not_found' })
  },
)

t.test("a card without its owner's signature, an older card and a large card are refused", async t => {
  const { wsUrl } = await startTestNode(t)
  const [user, stranger] = [newUser(), newUser()]
  const socket = await RawClient.loggedIn(t, wsUrl, user)
  const publish = (card: string) => socket.request({ type: 'publish_card', id: 'p', card })
  const own = cardOf(user, 5)
  const wrong = [cardOf(stranger), cardOf(user, 1, stranger), own.slice(0, -4), `${own.slice(0, -8)}AAAAAAAA`, 'AAAA']
  for (const card of wrong) t.match(await publish(card), { type: 'error', code: 'bad_frame' })
  t.match(await publish('A'.repeat(limits.maxCardBytes * 2)), { type: 'error', code: 'bad_frame' })
  t.match(await publish(own), { type: 'card_published' })
  t.match(await publish(cardOf(user, 4)), { type: 'error', code: 'conflict' })
  t.match(await socket.request({ type: 'fetch_card', id: 'f', username: 'nobody' }), { code: 'unknown_user' })
})

t.test('a page with cards stays within the size of a frame', async t => {
  const { wsUrl } = await startTestNode(t)
  for (let at = 0; at < limits.maxCardPage + 1; at += 1) await RawClient.loggedIn(t, wsUrl)
  const reader = await RawClient.loggedIn(t, wsUrl)
  const page = await reader.request({ type: 'list_users', id: 'l', cards: true, limit: 100 })
  t.match(page, { users: { length: limits.maxCardPage }, cursor: String })
})
