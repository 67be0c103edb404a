import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { ReplacedError } from '../../../src/client/base/errors.ts'
import { copyState, openAgentAt, registerAgent, temporaryDirectory } from '../../../tools/clients/agents.ts'
import { startTestNodes } from '../../../tools/servers/running-node.ts'

/** Enough time for many rounds if the two agents took the inbox from each other, ms. */
const watchMs = 5_000

// Evidence: N6
t.test('N6: of two agents with one key the replaced one listens again only when the user asks', async t => {
  const [north, south] = await startTestNodes(t, 2)
  if (!north || !south) throw new Error('two nodes')
  const directory = await temporaryDirectory(t)
  const twin = join(await temporaryDirectory(t), 'twin')
  const before = await openAgentAt(t, north.wsUrl, directory)
  await before.register('bob')
  await before.close()
  await copyState(directory, twin)
  const [one, other] = [await openAgentAt(t, north.wsUrl, directory), await openAgentAt(t, south.wsUrl, twin)]
  let takeOvers = 0
  const shown: (string | undefined)[] = []
  const ends: unknown[] = []
  const listen = async (agent: typeof one) => {
    agent.on('replaced', () => {
      takeOvers += 1
    })
    const listening = new Promise(resolve => agent.on('listening', resolve))
    const receive = async () => {
      for await (const { text } of agent.receive()) shown.push(text)
    }
    const ended = receive().catch((error: unknown) => void ends.push(error))
    await listening
    return { ended }
  }
  const first = await listen(one)
  await listen(other)
  await first.ended
  t.ok(ends[0] instanceof ReplacedError)
  // Its other operations do not take the inbox back.
  await one.access.writers()
  await delay(watchMs)
  t.equal(takeOvers, 1)
  t.equal(ends.length, 1)
  const alice = await registerAgent(t, north.wsUrl, 'alice')
  await alice.send('bob', 'who listens?')
  while (shown.length === 0) await delay(20)
  t.same(shown, ['who listens?'])
  t.equal(takeOvers, 1)
})
