import t from 'tap'
import { openMemoryStore } from '../../../src/client/node.ts'
import { MemoryDisk } from '../../../src/client/state/memory-store.ts'
import { openAgent, registerAgent } from '../../../tools/clients/agents.ts'
import { openTestStore, startTestNode, withFaults } from '../../../tools/servers/running-node.ts'

t.test('if the token ends during the login, the agent logs in with its key', async t => {
  const store = openTestStore()
  let ending = 0
  const faulty = withFaults(store, {
    logins: {
      find: async tokenHash => {
        if (ending-- > 0) await store.logins.revoke(tokenHash)
        return store.logins.find(tokenHash)
      },
    },
  })
  const { wsUrl } = await startTestNode(t, {}, { store: faulty })
  const disk = new MemoryDisk()
  const first = await registerAgent(t, wsUrl, 'alice', openMemoryStore(disk))
  await first.close()

  const later = await openAgent(t, wsUrl, openMemoryStore(disk))
  ending = 1
  await later.connect()
  t.ok(ending <= 0, 'the token was tried')
  await later.close()

  const refused = await openAgent(t, wsUrl, openMemoryStore(disk))
  ending = 2
  await t.rejects(refused.connect(), { code: 'unauthorized' }, 'a second refusal is final')
})
