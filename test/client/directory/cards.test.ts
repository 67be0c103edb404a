import t, { type Test } from 'tap'
import type { CardContent, ListedUser } from '../../../src/client/node.ts'
import { encodeCard } from '../../../src/crypto/keys/card.ts'
import { generateIdentity } from '../../../src/crypto/keys/identity.ts'
import { randomBytes } from '../../../src/crypto/provider.ts'
import { encodeBase64Url } from '../../../src/util/bytes.ts'
import { receiveSome, registerAgent } from '../../../tools/clients/agents.ts'
import { startTestNode } from '../../../tools/servers/running-node.ts'
import { type Frame, startLyingNode } from '../../fixtures/servers/lying-node.ts'

const content: CardContent = { title: 'Translator', capabilities: ['translate'], acceptsRequests: true }

/** Alice has a card; bob reads it through a dishonest node. */
async function openWorld(t: Test) {
  const node = await startTestNode(t)
  const { server, lies } = await startLyingNode(t, node.wsUrl)
  const alice = await registerAgent(t, node.wsUrl, 'alice')
  const bob = await registerAgent(t, server, 'bob')
  await alice.cards.publish(content)
  const meet = async () => {
    await alice.send('bob', 'hello')
    await receiveSome(bob, 1)
  }
  const list = async (): Promise<ListedUser[]> => {
    const users: ListedUser[] = []
    for await (const user of bob.users({ capability: 'translate', cards: true })) users.push(user)
    return users
  }
  return { alice, bob, lies, meet, list }
}

t.test('a card states the trust in its key', async t => {
  const { alice, bob, meet, list } = await openWorld(t)
  const identity = alice.account?.identity
  t.match(await alice.cards.of(), { ...content, username: 'alice', verified: 'verified', identity })
  t.match(await bob.cards.of('alice'), { ...content, verified: 'unmet', identity })
  await t.rejects(bob.identityOf('alice'), { code: 'unknown_peer' }, 'a card pins nothing')
  await meet()
  t.match(await bob.cards.of('alice@localhost'), { verified: 'first-use' })
  await bob.verifyPeer('alice', identity ?? '')
  t.match(await list(), [{ username: 'alice', card: { title: 'Translator', verified: 'verified' } }])
  await alice.cards.publish({ ...content, title: 'Interpreter' })
  t.match(await bob.cards.of('alice'), { title: 'Interpreter' })
  await alice.cards.remove()
  await t.rejects(bob.cards.of('alice'), { code: 'not_found' })
  t.same(await list(), [])
})

t.test('a card with invalid content is not sent', async t => {
  const { alice } = await openWorld(t)
  await t.rejects(alice.cards.publish({ ...content, title: '' }), { code: 'invalid_argument' })
  await t.rejects(alice.cards.publish({ ...content, capabilities: ['Not a tag'] }), { code: 'invalid_argument' })
  t.match(await alice.cards.of(), content)
})

// Evidence: K15
t.test('a node can neither forge the card of a peer nor return an older one', async t => {
  const { alice, bob, lies, meet, list } = await openWorld(t)
  await meet()
  const { signed: first } = await bob.cards.of('alice')
  await alice.cards.publish({ ...content, title: 'Interpreter' })
  await bob.cards.of('alice')
  const mallory = generateIdentity(randomBytes)
  const forge = (address: string) =>
    encodeBase64Url(encodeCard(mallory, { address, identity: mallory.publicKey, seq: 2 ** 40, content }))
  const flipped = `${first.slice(0, -8)}AAAAAAAA`
  for (const card of [first, flipped, forge('alice@localhost'), forge('carol@localhost')]) {
    lies.toClient = (frame: Frame) => {
      if (frame.type === 'card') return { ...frame, card }
      if (frame.type === 'user_list')
        return { ...frame, users: [{ username: 'alice', online: false, lastSeenAt: 0, card }] }
      return frame
    }
    await t.rejects(bob.cards.of('alice'), { code: 'bad_card' })
    t.match(await list(), [{ username: 'alice', card: undefined, cardError: /not acceptable/ }])
  }
})
