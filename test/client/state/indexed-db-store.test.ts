import { existsSync } from 'node:fs'
import { createServer } from 'node:http'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { type BrowserContext, chromium } from 'playwright-core'
import t from 'tap'
import { contract } from './store-contract.ts'

const executablePath = '/usr/bin/chromium'
if (!existsSync(executablePath)) throw new Error('This test needs Chromium: apt-get install chromium')

const entry = fileURLToPath(new URL('../../fixtures/state/contract-page.ts', import.meta.url))
// Fails on any import of a Node module.
const bundle = await build({ entryPoints: [entry], bundle: true, format: 'iife', platform: 'browser', write: false })
const script = bundle.outputFiles[0]?.text ?? ''

// IndexedDB needs an origin, and Web Locks a secure one: loopback is.
const server = createServer((request, response) => {
  const isScript = request.url === '/page.js'
  response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html')
  response.end(isScript ? script : '<!doctype html><title>state</title><script src="/page.js"></script>')
})
await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
const address = server.address()
if (address === null || typeof address === 'string') throw new Error('no port')
const { port } = address

const browser = await chromium.launch({
  executablePath,
  args: [
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
  ],
})
const context = await browser.newContext()
t.teardown(async () => {
  await browser.close()
  server.close()
})

async function openPage(inside: BrowserContext = context) {
  const page = await inside.newPage()
  await page.goto(`http://127.0.0.1:${port}/`)
  return page
}

for (const [index, { name }] of contract.entries()) {
  t.test(name, async t => {
    const page = await openPage()
    await t.resolves(page.evaluate(`page.runCase(${index})`))
    await page.close()
  })
}

t.test('two tabs add 50 each to one counter and lose none, while the work computes between its reads', async t => {
  const tabs = [await openPage(), await openPage()]
  await Promise.all(tabs.map(tab => tab.evaluate(`page.increment('shared', 50)`)))
  t.equal(await tabs[0]?.evaluate(`page.read('shared', 'counter')`), '100')
  for (const tab of tabs) await tab.close()
})

t.test('a tab that is closed in the middle of a transaction leaves nothing of it and holds nobody up', async t => {
  const holder = await openPage()
  await holder.evaluate(`page.hold('held')`)
  const other = await openPage()
  const waiting = other.evaluate(`page.increment('held', 1)`)
  await holder.close()
  await waiting
  t.equal(await other.evaluate(`page.read('held', 'counter')`), '1')
  await other.close()
})

t.test('an old format is migrated or refused, and a newer one is refused', async t => {
  const page = await openPage()
  t.same(await page.evaluate(`page.migrate('old')`), ['version', '1 migrated', 'version'])
  await page.close()
})
