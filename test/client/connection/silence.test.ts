import t from 'tap'
import { receiveSome, registerAgent, textsOf } from '../../../tools/clients/agents.ts'
import { startTestNode } from '../../../tools/servers/running-node.ts'
import { startLyingNode } from '../../fixtures/servers/lying-node.ts'

/** A node behind a proxy that can drop the node's frames. */
async function startMuffled(t: Parameters<typeof startTestNode>[0]) {
  const { wsUrl } = await startTestNode(t)
  return { honest: wsUrl, ...(await startLyingNode(t, wsUrl)) }
}

// Evidence: P7
t.test(
  'if an answer never comes, the client repeats the request on a new connection, and the message is shown once',
  async t => {
    const { honest, server, lies } = await startMuffled(t)
    const alice = await registerAgent(t, server, 'alice')
    const bob = await registerAgent(t, honest, 'bob')
    let swallowed = 0
    lies.toClient = frame => {
      if (frame.type !== 'accepted' || swallowed > 0) return frame
      swallowed += 1
      return []
    }
    await alice.send('bob', 'first')
    t.equal(swallowed, 1)
    await alice.send('bob', 'second')
    t.same(textsOf(await receiveSome(bob, 2)), ['first', 'second'])
  },
)

// Evidence: P7
t.test('a listener whose node is silent reconnects and continues', async t => {
  const { honest, server, lies } = await startMuffled(t)
  const alice = await registerAgent(t, honest, 'alice')
  const bob = await registerAgent(t, server, 'bob')
  const listening = receiveSome(bob, 2)
  await alice.send('bob', 'first')
  const lost = new Promise(resolve => bob.on('disconnected', resolve))
  // From the next message on, no frame passes until bob has noticed the silence.
  lies.toClient = () => []
  await alice.send('bob', 'second')
  void bob.send('alice', 'are you there?')
  await lost
  lies.toClient = frame => frame
  t.same(textsOf(await listening), ['first', 'second'])
})
