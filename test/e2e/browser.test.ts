import { fileURLToPath } from 'node:url'
import t from 'tap'
import { receiveSome, registerAgent, textsOf } from '../../tools/clients/agents.ts'
import { requireTool } from '../../tools/require-tool.ts'
import { startNodeProcess } from '../../tools/servers/node.ts'
import { bundleScript, launchBrowser, servePage } from '../fixtures/browser.ts'

const executablePath = requireTool(t, 'chromium')
const entry = fileURLToPath(new URL('../../src/client/browser.ts', import.meta.url))
const { origin } = await servePage(t, await bundleScript(entry, { globalName: 'aimessage' }))
// What a page with a strict policy and a global `Buffer` polyfill loads: the file of the package.
const built = fileURLToPath(new URL('../../dist/client/browser.js', import.meta.url))
const strictPolicy = "default-src 'none'; script-src 'self'; connect-src ws://127.0.0.1:* ws://localhost:*"
const strict = await servePage(t, await bundleScript(built, { globalName: 'aimessage' }), strictPolicy)
const adminToken = 'o'.repeat(40)
const node = await startNodeProcess(t, {
  ALLOWED_ORIGINS: `${origin},${strict.origin}`,
  ADMIN_TOKEN: adminToken,
})
const { wsUrl } = node
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

t.test('17.22 a store asks for persistent storage and says what the browser decided', async t => {
  const decide = (persist: string) => `(async () => {
    globalThis.asked = 0
    navigator.storage.persist = () => { asked += 1; ${persist} }
    const store = await aimessage.openIndexedDbStore('kept')
    const isPersistent = await store.isPersistent
    await store.close()
    return [asked, isPersistent]
  })()`
  const page = await browser.newPage()
  await page.goto(origin)
  t.same(await page.evaluate(decide('return Promise.resolve(true)')), [1, true])
  t.same(await page.evaluate(decide('return Promise.resolve(false)')), [1, false])
  t.same(await page.evaluate(decide('throw new TypeError()')), [1, false])
  await page.reload()
  const own = `aimessage.openIndexedDbStore('kept').then(store => store.isPersistent)`
  t.equal(await page.evaluate(own), await page.evaluate('navigator.storage.persisted()'), "Chromium's own decision")
  await page.close()
})

t.test('17.22 where the browser has deleted the state, the error of a registration says so', async t => {
  const page = await browser.newPage()
  await page.goto(origin)
  await page.evaluate(open)
  if (!(await page.evaluate('client.account'))) await page.evaluate(`client.register('evicted')`)
  const { username } = (await page.evaluate('client.account')) as { username: string }
  await page.evaluate('client.close()')
  const remove = `(async () => {
    for (const { name } of await indexedDB.databases())
      await new Promise((resolve, reject) => Object.assign(indexedDB.deleteDatabase(name), {
        onsuccess: resolve, onerror: reject, onblocked: reject,
      }))
  })()`
  await page.evaluate(remove)
  await page.reload()
  t.equal(await page.evaluate(open), null)
  const refused = `client.register('${username}').catch(({ code, message }) => ({ code, message }))`
  const error = await page.evaluate(refused)
  t.match(error, { code: 'username_taken', message: /browser may have deleted .*STATE\.md#browsers/ })
  await page.evaluate('client.close()')
  await page.close()
})

// Evidence: W6
t.test('a page of an unknown origin cannot connect', async t => {
  const { origin: elsewhere } = await servePage(t, await bundleScript(entry, { globalName: 'aimessage' }))
  const page = await browser.newPage()
  await page.goto(elsewhere)
  await page.evaluate(open)
  const failed = page.evaluate(
    `client.register('mallory').then(() => 'registered', ({ code, message }) => ({ code, message }))`,
  )
  const error = await failed
  t.match(error, { code: 'unreachable' })
  t.ok(
    String(Object(error).message).includes(`${elsewhere} is not in its ALLOWED_ORIGINS`),
    '18.12 the reason is named',
  )
  await page.evaluate(`client.connect().catch(() => {})`)
  const logged = node.logs().filter(line => line.includes(elsewhere) && line.includes('ALLOWED_ORIGINS'))
  t.equal(logged.length, 1, '18.12 the node logs the origin once')
  await page.close()
})

t.test('18.12 a page with a strict policy and a Buffer polyfill works, and reports no violation', async t => {
  const page = await browser.newPage()
  const complaints: string[] = []
  page.on('console', message => complaints.push(message.text()))
  page.on('pageerror', error => complaints.push(error.message))
  // As the package `buffer`, which knows no base64url.
  await page.addInitScript(`
    globalThis.Buffer = class Buffer extends Uint8Array {
      static from(value, encoding) {
        if (encoding !== undefined && encoding !== 'utf8') throw new TypeError('Unknown encoding: ' + encoding)
        return super.from(value)
      }
      static isEncoding(encoding) { return ['hex', 'utf8', 'base64'].includes(encoding) }
      static isBuffer() { return false }
      toString(encoding) { throw new TypeError('Unknown encoding: ' + encoding) }
    }
    globalThis.violations = []
    document.addEventListener('securitypolicyviolation', event => violations.push(event.violatedDirective))`)
  await page.goto(strict.origin)
  const peer = await registerAgent(t, wsUrl, 'strict-peer')
  t.equal(await page.evaluate(open), null)
  await page.evaluate(`client.register('strict-page')`)
  await page.evaluate(`client.send('strict-peer', 'hello')`)
  t.same(textsOf(await receiveSome(peer, 1)), ['hello'])
  t.same(await page.evaluate('violations'), [])
  t.same(complaints, [])
  await page.evaluate('client.close()')
  await page.close()
})

t.test('18.11 on /docs, Authorize and then Execute calls a route that needs a token', async t => {
  const page = await browser.newPage()
  const complaints: string[] = []
  page.on('pageerror', error => complaints.push(error.message))
  await page.goto(`${wsUrl.replace('ws', 'http').replace(/\/ws$/, '')}/docs/`)
  await page.locator('.auth-wrapper button.authorize').first().click()
  await page.locator('.auth-container input').first().fill(adminToken)
  await page.locator('.auth-container button.authorize').click()
  await page.locator('.auth-container button.btn-done').click()
  for (const id of ['adminListNodes', 'live']) {
    const operation = page.locator(`[id$="-${id}"]`).first()
    await operation.locator('.opblock-summary').click()
    await operation.locator('.try-out__btn').click()
    const answered = page.waitForResponse(response => /\/v1\/admin\/nodes|\/health\/live/.test(response.url()))
    await operation.locator('.execute').click()
    const response = await answered
    t.equal(response.status(), 200, id)
    const { authorization } = await response.request().allHeaders()
    t.equal(authorization, id === 'live' ? undefined : `Bearer ${adminToken}`)
  }
  t.same(complaints, [])
  await page.close()
})
