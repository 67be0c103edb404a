import t from 'tap'
import { receiveSome, registerAgent, textsOf } from '../../../tools/clients/agents.ts'
import { startTestNode } from '../../../tools/servers/running-node.ts'
import { startLyingNode } from '../../fixtures/servers/lying-node.ts'

t.test('a renewal and a first message at the same time both succeed, each with its own keys', async t => {
  const node = await startTestNode(t)
  const { server, lies } = await startLyingNode(t, node.wsUrl)
  const alice = await registerAgent(t, server, 'alice')
  const bob = await registerAgent(t, server, 'bob')
  const fetches: unknown[] = []
  lies.toNode = frame => {
    if (frame.type === 'fetch_keys') fetches.push(frame.id)
    return frame
  }
  const listening = receiveSome(bob, 2)
  await Promise.all([alice.send('bob', 'one'), alice.renewSession('bob'), alice.getOrCreateSession('bob')])
  await alice.send('bob', 'two')
  t.same(textsOf(await listening), ['one', 'two'])
  t.equal(new Set(fetches).size, fetches.length, 'no two requests have the same id')
})
