import { fileURLToPath } from 'node:url'
import t from 'tap'
import { receiveSome, registerAgent, textsOf } from '../../tools/clients/agents.ts'
import { requireTool } from '../../tools/require-tool.ts'
import { startNodeProcess } from '../../tools/servers/node.ts'
import { bundleScript, launchBrowser, servePage } from '../fixtures/browser.ts'

const executablePath = requireTool(t, 'chromium')
const entry = fileURLToPath(new URL('../../src/client/browser.ts', import.meta.url))
const { origin } = await servePage(t, await bundleScript(entry, { globalName: 'aimessage' }))
const { wsUrl } = await startNodeProcess(t, { ALLOWED_ORIGINS: origin })
const browser = await launchBrowser(t, executablePath)

/** Runs in the page: an agent with the state of this origin, and the messages that it receives. */
const open = `(async () => {
  globalThis.sessions = 0
  globalThis.client = await aimessage.openClient({
    server: ${JSON.stringify(wsUrl)},
    store: await aimessage.openIndexedDbStore('agent'),
  })
  client.on('session', () => { sessions += 1 })
  return client.account?.username ?? null
})()`
const receive = (count: number) => `(async () => {
  const shown = []
  for await (const { from, text, verified, repeated = false } of client.receive({ count: ${count} }))
    shown.push({ from, text, verified, repeated })
  return shown
})()`

t.test('an agent in a browser registers, sends and receives, and keeps its identity after a reload', async t => {
  const page = await browser.newPage()
  await page.goto(origin)
  const nora = await registerAgent(t, wsUrl, 'nora')

  t.equal(await page.evaluate(open), null)
  t.match(await page.evaluate(`client.register('brauser')`), { username: 'brauser', domain: 'localhost' })

  await page.evaluate(`client.send('nora', 'from a page \u{1f30d}')`)
  t.match(await receiveSome(nora, 1), [{ from: 'brauser', text: 'from a page \u{1f30d}', verified: 'first-use' }])
  const answer = page.evaluate(receive(2))
  const long = 'ü'.repeat(32_768)
  for (const text of ['to a page', long]) await nora.send('brauser', text)
  const common = { from: 'nora', verified: 'first-use', repeated: false }
  t.same(await answer, [
    { ...common, text: 'to a page' },
    { ...common, text: long },
  ])

  await t.test('after a reload an unacknowledged message is shown again, and an acknowledged one is not', async t => {
    await nora.send('brauser', 'in hand')
    t.equal(await page.evaluate(`client.receive().next().then(({ value }) => value.text)`), 'in hand')
    await page.reload()
    await nora.send('brauser', 'while away')
    t.equal(await page.evaluate(open), 'brauser', 'it knows who it is')
    t.same(await page.evaluate(receive(2)), [
      { ...common, text: 'in hand', repeated: true },
      { ...common, text: 'while away' },
    ])
    await page.evaluate(`client.send('nora', 'still me')`)
    t.same(textsOf(await receiveSome(nora, 1)), ['still me'])
    t.equal(await page.evaluate('sessions'), 0, 'the session went on')
  })

  await t.test('a second tab of the same agent sends while the first one listens', async t => {
    const tab = await browser.newPage()
    await tab.goto(origin)
    t.equal(await tab.evaluate(open), 'brauser')
    const heard = page.evaluate(receive(1))
    await tab.evaluate(`client.send('nora', 'from the other tab')`)
    t.same(textsOf(await receiveSome(nora, 1)), ['from the other tab'])
    await nora.send('brauser', 'to the first tab')
    t.same(await heard, [{ ...common, text: 'to the first tab' }])
    await tab.evaluate('client.close()')
    await tab.close()
  })
  await page.evaluate('client.close()')
  await page.close()
})

// Evidence: W6
t.test('a page of an unknown origin cannot connect', async t => {
  const { origin: elsewhere } = await servePage(t, await bundleScript(entry, { globalName: 'aimessage' }))
  const page = await browser.newPage()
  await page.goto(elsewhere)
  await page.evaluate(open)
  const failed = page.evaluate(`client.register('mallory').then(() => 'registered', error => error.code)`)
  t.equal(await failed, 'unreachable')
  await page.close()
})
