import t from 'tap'
import { readConfig } from '../../../src/server/base/config.ts'
import { storeOptions } from '../../../src/server/open-store.ts'
import { memoryBacking, openMemoryStore } from '../../../src/server/store/memory/memory-store.ts'
import { StoreUnavailableError } from '../../../src/server/store/store.ts'
import { receiveSome, registerAgent, textsOf } from '../../../tools/clients/agents.ts'
import { dialPort } from '../../../tools/net/balancer.ts'
import { FaultProxy } from '../../../tools/net/fault-proxy.ts'
import { startTestNode, withFaults } from '../../../tools/servers/running-node.ts'

const options = () => storeOptions(readConfig({}))
const texts = ['one', 'two', 'three', 'four', 'five']

const pushedBy = async (metricsUrl: string | null): Promise<number> => {
  const page = await (await fetch(metricsUrl ?? '')).text()
  return Number(/^aimessage_pushed_total (\d+)/m.exec(page)?.[1])
}

// Evidence: N8
t.test('N8: envelopes that a node pushed and did not trim before it died are pushed again and shown once', async t => {
  const backing = memoryBacking(options())
  // This node pushes, gets the acks, and dies before it trims the inbox.
  const inner = openMemoryStore(options(), backing)
  const dying = await startTestNode(
    t,
    {},
    {
      store: withFaults(inner, {
        inboxes: {
          ack: async () => {
            throw new StoreUnavailableError('it dies here')
          },
        },
      }),
    },
  )
  const heir = await startTestNode(t, { METRICS_PORT: '0' }, { store: openMemoryStore(options(), backing) })
  let port = dying.port
  const front = await FaultProxy.listen(() => dialPort(port))
  t.teardown(() => front.close())
  const bob = await registerAgent(t, `ws://127.0.0.1:${front.port}/ws`, 'bob')
  const alice = await registerAgent(t, heir.wsUrl, 'alice')
  for (const text of texts) await alice.send('bob', text)
  t.same(textsOf(await receiveSome(bob, texts.length)), texts)
  t.equal(await pushedBy(heir.metricsUrl), 0, 'the other node has pushed nothing yet')

  port = heir.port
  front.reset()
  await alice.send('bob', 'six')
  t.same(textsOf(await receiveSome(bob, 1)), ['six'], 'no earlier message is shown again')
  const again = await pushedBy(heir.metricsUrl)
  t.comment(`${again - 1} pushed again`)
  t.ok(again > 1, 'pushed again')
})
