import { randomBytes } from 'node:crypto'
import t from 'tap'
import {
  openAgent,
  openAgentAt,
  receiveAll,
  receiveSome,
  registerAgent,
  temporaryDirectory,
  textsOf,
} from '../../tools/clients/agents.ts'
import { startDeployment } from '../../tools/servers/deployment.ts'
import { startAgentProcess } from '../fixtures/processes/agent-process.ts'

t.test('two agents on different nodes of one Redis', async t => {
  const { servers } = await startDeployment(t, { nodes: 2 })
  const [north = '', south = ''] = servers

  // Evidence: K1
  t.test('the recipient gets the text that the sender sent', async t => {
    const alice = await registerAgent(t, north, 'alice')
    const bob = await registerAgent(t, south, 'bob')
    const texts = [
      'x',
      'a'.repeat(1_024),
      'ü'.repeat(32_768),
      '👩‍🚀 → 🌍, שלום, 你好 \u{10ffff}',
      '\u0000\u0001\u001b[31m\r\n{"type":"ack","seq":9}\u0080\u2028',
    ]
    const arrived = receiveSome(bob, texts.length)
    for (const text of texts) await alice.send('bob', text)
    const messages = await arrived
    t.same(textsOf(messages), texts)
    t.ok(messages.every(({ from, verified }) => from === 'alice' && verified === 'first-use'))
  })

  t.test('bytes that are not text arrive unchanged', async t => {
    const alice = await registerAgent(t, north, 'alice-b')
    const bob = await registerAgent(t, south, 'bob-b')
    const bytes = new Uint8Array(randomBytes(65_536))
    await alice.send('bob-b', bytes)
    const [message] = await receiveSome(bob, 1)
    t.same(message?.body, bytes)
    t.equal(message?.text, undefined)
  })

  // Evidence: L1
  t.test('a message over 64 KiB is refused before anything is sent', async t => {
    const alice = await registerAgent(t, north, 'alice-l')
    await t.rejects(alice.send('bob', new Uint8Array(65_537)), { code: 'message_too_large', message: /65537.*65536/ })
  })

  // Evidence: K10
  t.test('a first message to an absent agent arrives when it listens', async t => {
    const alice = await registerAgent(t, north, 'alice-f')
    const directory = await temporaryDirectory(t)
    const before = await openAgentAt(t, south, directory)
    await before.register('bob-f')
    await before.close()
    const { queued } = await alice.send('bob-f', 'are you there?')
    t.equal(queued, true)
    const bob = await openAgentAt(t, south, directory)
    t.same(textsOf(await receiveSome(bob, 1)), ['are you there?'])
  })

  // Evidence: K11
  t.test(
    'an agent that is killed while it works through its inbox gets the remaining messages, in order, each once',
    async t => {
      const alice = await registerAgent(t, north, 'alice-k')
      const directory = await temporaryDirectory(t)
      const before = await openAgentAt(t, south, directory)
      await before.register('bob-k')
      await before.close()
      const sent = Array.from({ length: 200 }, (_, index) => `message ${index}`)
      await Promise.all(sent.map(text => alice.send('bob-k', text)))

      const killed = startAgentProcess(t, { server: south, directory, killAfter: 50 })
      const shown = await killed.texts
      t.same(shown.slice(0, 50), sent.slice(0, 50))
      t.equal(await killed.signal, 'SIGKILL')

      const bob = await openAgentAt(t, south, directory)
      t.same(textsOf(await receiveSome(bob, 150)), sent.slice(50))
      t.same(textsOf(await receiveAll(bob)), [])
    },
  )

  t.test('an unknown recipient is reported as unknown', async t => {
    const alice = await registerAgent(t, north, 'alice-u')
    await t.rejects(alice.send('nobody', 'hello'), { code: 'unknown_user' })
  })

  t.test('both agents answer each other over many turns', async t => {
    const alice = await registerAgent(t, north, 'alice-t')
    const bob = await registerAgent(t, south, 'bob-t')
    const echo = (async () => {
      for await (const { from, text } of bob.receive({ count: 20 })) await bob.send(from, `${text}!`)
    })()
    const answers = alice.receive({ count: 20 })
    for (let turn = 0; turn < 20; turn += 1) {
      await alice.send('bob-t', `turn ${turn}`)
      const { value } = await answers.next()
      t.equal(value?.text, `turn ${turn}!`)
    }
    await answers.return()
    await echo
  })

  t.test('a client without a registration fails with its own error', async t => {
    const stranger = await openAgent(t, north)
    await t.rejects(stranger.send('bob', 'hello'), { code: 'not_registered' })
  })
})
