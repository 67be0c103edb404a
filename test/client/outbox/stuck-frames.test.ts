import t from 'tap'
import { registerAgent } from '../../../tools/clients/agents.ts'
import { openTestStore, startTestNode, withFaults } from '../../../tools/servers/running-node.ts'

t.test('a message that was refused until it expired does not block the messages after it', async t => {
  const store = openTestStore()
  let isAway = false
  const faulty = withFaults(store, {
    inboxes: {
      append: async items =>
        isAway ? items.map(() => ({ status: 'unavailable' as const })) : store.inboxes.append(items),
    },
  })
  const { wsUrl } = await startTestNode(t, {}, { store: faulty })
  const alice = await registerAgent(t, wsUrl, 'alice')
  const bob = await registerAgent(t, wsUrl, 'bob')
  await alice.send('bob', 'first')

  isAway = true
  const isRefused = new Promise(resolve => alice.on('delayed', resolve))
  await t.rejects(alice.send('bob', 'expires', { ttlS: 1 }), { code: 'expired' })
  await isRefused
  isAway = false
  await alice.send('bob', 'after it')
  const texts: (string | undefined)[] = []
  for await (const { text } of bob.receive({ count: 2 })) texts.push(text)
  t.same(texts, ['first', 'after it'])
})
