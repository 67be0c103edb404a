import t from 'tap'
import { receiveSome, registerAgent, textsOf } from '../../tools/clients/agents.ts'
import { HttpClient } from '../../tools/clients/http-client.ts'
import { startTestNodes } from '../../tools/servers/running-node.ts'

const ADMIN_TOKEN = 'the-token-of-the-operator-0123456789'

// Evidence: L8, X10
t.test('peers that know the old key notice when a released name gets another key', async t => {
  const [first, second] = await startTestNodes(t, 2, { ADMIN_TOKEN })
  if (!first || !second) return t.fail('two nodes')
  const alice = await registerAgent(t, first.wsUrl, 'alice')
  const bob = await registerAgent(t, second.wsUrl, 'bob')
  await alice.send('bob', 'hello')
  await receiveSome(bob, 1)
  const before = await alice.identityOf('bob')
  await bob.close()

  const admin = new HttpClient(first.url, ADMIN_TOKEN)
  t.equal((await admin.call('DELETE', '/v1/admin/users/bob/key')).status, 204)
  const another = await registerAgent(t, second.wsUrl, 'bob')
  t.equal(another.account?.username, 'bob')
  const changed = new Promise(resolve => alice.on('key-changed', resolve))
  const shown = receiveSome(alice, 1)
  await another.send('alice', 'I am bob, believe me')
  t.same(await changed, { peer: 'bob' })
  await t.rejects(alice.send('bob', 'a secret'), { code: 'identity_changed' })

  t.equal((await alice.identityOf('bob')).identity, before.identity, 'the old key is still pinned')
  await alice.trustPeer('bob', another.account?.identity ?? '', { unconfirmed: 'send' })
  await alice.send('bob', 'now that I asked you')
  const [message] = await receiveSome(another, 1)
  t.equal(message?.text, 'now that I asked you', 'until the user decides')
  t.same(textsOf(await shown), ['I am bob, believe me'], 'and shown only then')
})
